//! `#[derive(Trace)]`, which terrace re-exports: shows every field to the collector, and names the type for any window.
//!
//! Since the generated code takes the value apart field by field, none can be forgotten; and each must be traced
//! itself, so references, `Gc`s and containers of slots do not compile.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Lifetime, Result, TypeParam, TypeParamBound};

/// Implements `Trace`, `Of` and `Rebind`; with `#[trace(leaf)]`, `Leaf` as well, and with `#[trace(element)]`, `Element`.
///
/// The type is a struct or an enum with at most one lifetime, that of its slots. Type parameters are traced and rebound,
/// but for those with the bound `Brand`.
#[proc_macro_derive(Trace, attributes(trace))]
pub fn derive_trace(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let (is_leaf, is_element) = attributes(input)?;
    let mut lifetimes = input.generics.lifetimes();
    let lifetime = lifetimes.next();
    if let Some(second) = lifetimes.next() {
        let message = "a managed type has one lifetime at most, that of its slots";
        return Err(Error::new(second.span(), message));
    }
    if let (true, Some(lifetime)) = (is_leaf, lifetime) {
        let message = "a leaf has no slots, so it needs no lifetime";
        return Err(Error::new(lifetime.span(), message));
    }
    let trace = trace(input)?;
    let of = of(input)?;
    let rebind = rebind(input);
    let leaf = if is_leaf { leaf(input)? } else { TokenStream::new() };
    let element = if is_element {
        element(input)?
    } else {
        TokenStream::new()
    };
    Ok(quote!(#trace #of #rebind #leaf #element))
}

/// Whether `#[trace(leaf)]` and `#[trace(element)]` are there.
fn attributes(input: &DeriveInput) -> Result<(bool, bool)> {
    let (mut is_leaf, mut is_element) = (false, false);
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("trace"))
    {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("leaf") {
                is_leaf = true;
            } else if meta.path.is_ident("element") {
                is_element = true;
            } else {
                return Err(meta.error("expected `leaf` or `element`"));
            }
            Ok(())
        })?;
    }
    Ok((is_leaf, is_element))
}

/// Whether the parameter is an arena's brand, which is neither traced nor rebound.
fn is_brand(parameter: &TypeParam) -> bool {
    parameter.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "Brand"),
        _ => false,
    })
}

/// The fields of each variant, with the pattern's head; of a struct, its own.
fn variants(input: &DeriveInput) -> Result<Vec<(TokenStream, &Fields)>> {
    match &input.data {
        Data::Struct(data) => Ok(vec![(quote!(Self), &data.fields)]),
        Data::Enum(data) => {
            let head = |variant: &syn::Variant| {
                let name = &variant.ident;
                quote!(Self::#name)
            };
            Ok(data
                .variants
                .iter()
                .map(|variant| (head(variant), &variant.fields))
                .collect())
        }
        Data::Union(data) => {
            let message = "a union does not tell which of its fields are slots";
            Err(Error::new(data.union_token.span, message))
        }
    }
}

fn trace(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        if !is_brand(parameter) {
            parameter.bounds.push(syn::parse_quote!(::terrace::Trace));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let (mut arms, mut leaves) = (Vec::new(), Vec::new());
    for (head, fields) in variants(input)? {
        let (mut patterns, mut calls) = (Vec::new(), Vec::new());
        for (index, field) in fields.iter().enumerate() {
            let (binding, ty) = (format_ident!("field_{index}"), &field.ty);
            let member = match &field.ident {
                Some(name) => quote!(#name),
                None => {
                    let index = syn::Index::from(index);
                    quote!(#index)
                }
            };
            patterns.push(quote!(#member: #binding));
            calls.push(quote_spanned!(ty.span()=> <#ty as ::terrace::Trace>::trace(#binding, visitor);));
            leaves.push(quote_spanned!(ty.span()=> <#ty as ::terrace::Trace>::LEAF));
        }
        arms.push(quote!(#head { #(#patterns),* } => { #(#calls)* }));
    }
    let body = if arms.is_empty() {
        quote!(match *self {})
    } else {
        quote!(match self { #(#arms)* })
    };
    Ok(quote! {
        // SAFETY: every field shows its slots, once; the value's slots are in its fields.
        #[automatically_derived]
        unsafe impl #impl_generics ::terrace::Trace for #name #type_generics #where_clause {
            const LEAF: bool = true #(&& #leaves)*;

            #[inline]
            #[allow(unused_variables)]
            fn trace(&self, visitor: &mut ::terrace::Visitor) {
                #body
            }
        }
    })
}

/// `Of` for every brand that all fields are of.
fn of(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        if !is_brand(parameter) {
            parameter.bounds.push(syn::parse_quote!(::terrace::Trace));
        }
    }
    generics.params.push(syn::parse_quote!(__Arena));
    let predicates = &mut generics.make_where_clause().predicates;
    for ty in types(input)? {
        predicates.push(syn::parse_quote!(#ty: ::terrace::Of<__Arena>));
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        // SAFETY: the value's slots are in its fields.
        #[automatically_derived]
        unsafe impl #impl_generics ::terrace::Of<__Arena> for #name #type_generics #where_clause {}
    })
}

fn rebind(input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    let window = Lifetime::new("'__window", proc_macro2::Span::call_site());
    let mut generics = input.generics.clone();
    let mut arguments = Vec::new();
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Lifetime(_) => arguments.push(quote!(#window)),
            GenericParam::Const(parameter) => {
                let name = &parameter.ident;
                arguments.push(quote!(#name));
            }
            GenericParam::Type(parameter) => {
                let (name, bounds) = (&parameter.ident, &parameter.bounds);
                if is_brand(parameter) {
                    arguments.push(quote!(#name));
                    continue;
                }
                arguments.push(quote!(<#name as ::terrace::Rebind>::At<#window>));
                let predicates = &mut generics.make_where_clause().predicates;
                predicates.push(syn::parse_quote!(#name: ::terrace::Rebind));
                predicates.push(
                    syn::parse_quote!(for<'__any> <#name as ::terrace::Rebind>::At<'__any>: ::core::marker::Sized + #bounds),
                );
            }
        }
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    quote! {
        // SAFETY: the same type with another lifetime.
        #[automatically_derived]
        unsafe impl #impl_generics ::terrace::Rebind for #name #type_generics #where_clause {
            type At<#window> = #name<#(#arguments),*>;
        }
    }
}

/// The types of all fields.
fn types(input: &DeriveInput) -> Result<Vec<&syn::Type>> {
    let variants = variants(input)?.into_iter();
    Ok(variants
        .flat_map(|(_, fields)| fields.iter().map(|field| &field.ty))
        .collect())
}

fn leaf(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(::terrace::Leaf));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let checks = types(input)?
        .into_iter()
        .map(|ty| quote_spanned!(ty.span()=> is_leaf::<#ty>();));
    Ok(quote! {
        // SAFETY: every field is a leaf, as the function below would not compile otherwise.
        #[automatically_derived]
        unsafe impl #impl_generics ::terrace::Leaf for #name #type_generics #where_clause {}

        const _: () = {
            fn is_leaf<T: ::terrace::Leaf + ?Sized>() {}

            #[allow(dead_code)]
            fn fields_are_leaves #impl_generics () #where_clause {
                #(#checks)*
            }
        };
    })
}

fn element(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        if !is_brand(parameter) {
            parameter.bounds.push(syn::parse_quote!(::terrace::Element));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let checks = types(input)?
        .into_iter()
        .map(|ty| quote_spanned!(ty.span()=> is_element::<#ty>();));
    Ok(quote! {
        // SAFETY: every field is an element, as the function below would not compile otherwise, and there is no destructor,
        // as the traits below would have two implementations.
        #[automatically_derived]
        unsafe impl #impl_generics ::terrace::Element for #name #type_generics #where_clause {}

        const _: () = {
            #[allow(dead_code)]
            trait ElementsHaveNoDrop {}
            #[allow(drop_bounds)]
            impl<T: ::core::ops::Drop> ElementsHaveNoDrop for T {}
            impl #impl_generics ElementsHaveNoDrop for #name #type_generics #where_clause {}

            fn is_element<T: ::terrace::Element>() {}

            #[allow(dead_code)]
            fn fields_are_elements #impl_generics () #where_clause {
                #(#checks)*
            }
        };
    })
}
