//! The interpreter of `examples/lisp`: results, errors, and what happens without memory.

extern crate alloc;

#[path = "../examples/lisp/scheme/mod.rs"]
mod scheme;
mod support;

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::thread;

use scheme::{Error, Host, Scheme};
use support::Random;
use terrace::{Arena, ArenaError, Cx};

/// What a program writes.
#[derive(Default)]
struct Paper(RefCell<String>);

impl Host for Paper {
    fn write(&self, text: &str) {
        self.0.borrow_mut().push_str(text);
    }
}

/// Lends an arena of the brand that the interpreter uses, one test at a time, in a region of so many bytes.
fn with_arena<R>(bytes: usize, work: impl FnOnce(&mut Cx) -> R) -> Result<R, ArenaError> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let heap = support::heap_for_good(bytes);
    let mut arena = Arena::new(heap)?;
    let result = arena.enter(work);
    drop(arena);
    heap.check().expect("the heap is sound");
    Ok(result)
}

/// The value of a text's last datum.
fn evaluate(scheme: &mut Scheme, cx: &mut Cx, text: &str) -> Result<String, Error> {
    scheme.load(cx, text)?;
    Ok(scheme.value(cx, |value| value.to_string()))
}

const RESULTS: &[(&str, &str)] = &[
    // Data
    ("42", "42"),
    ("-536870912", "-536870912"),
    ("'(a . (b c))", "(a b c)"),
    ("'(1 . 2)", "(1 . 2)"),
    ("#t", "#t"),
    ("\"a \\\"b\\\" \\\\ \\n\"", "\"a \\\"b\\\" \\\\ \\n\""),
    ("#\\a", "#\\a"),
    ("#\\space", "#\\space"),
    ("'#(1 (2) #(3))", "#(1 (2) #(3))"),
    ("''a", "(quote a)"),
    ("; a comment\n 1 ; another\n", "1"),
    // Forms
    ("(if #f 1)", "#<unspecified>"),
    ("(if '() 1 2)", "1"),
    ("(let ((x 1) (y 2)) (+ x y))", "3"),
    ("(let ((x 1)) (let ((x 2) (y x)) (list x y)))", "(2 1)"),
    ("(let* ((x 1) (y (+ x 1))) (* x y))", "2"),
    (
        "(letrec ((even (lambda (n) (if (= n 0) #t (odd (- n 1))))) (odd (lambda (n) (if (= n 0) #f (even (- n 1)))))) (even 101))",
        "#f",
    ),
    (
        "(let loop ((i 0) (list '())) (if (= i 3) list (loop (+ i 1) (cons i list))))",
        "(2 1 0)",
    ),
    ("(cond ((assv 'b '((a 1) (b 2))) => cadr) (else 'no))", "2"),
    ("(cond (#f 1) (2))", "2"),
    ("(cond (#f 1))", "#<unspecified>"),
    (
        "(case (* 2 3) ((2 3 5 7) 'prime) ((1 4 6 8 9) 'composite))",
        "composite",
    ),
    ("(case 'x ((a) 1) (else 2))", "2"),
    (
        "(list (and) (and 1 2) (and #f 2) (or) (or #f 3) (or 1 (car 5)))",
        "(#t 2 #f #f 3 1)",
    ),
    (
        "(list (when #t 1 2) (unless #t 1) (unless #f 3))",
        "(2 #<unspecified> 3)",
    ),
    ("(begin 1 2 3)", "3"),
    (
        "(do ((v (make-vector 5)) (i 0 (+ i 1))) ((= i 5) v) (vector-set! v i i))",
        "#(0 1 2 3 4)",
    ),
    (
        "(map (lambda (f) (f)) (do ((i 0 (+ i 1)) (fs '() (cons (lambda () i) fs))) ((= i 3) fs)))",
        "(2 1 0)",
    ),
    ("(define x 5) (set! x (+ x 1)) x", "6"),
    (
        "(define (f a . rest) (list a rest)) (list (f 1) (f 1 2 3))",
        "((1 ()) (1 (2 3)))",
    ),
    ("((lambda all all) 1 2)", "(1 2)"),
    ("(define (f) (define a 1) (define (g) (+ a 1)) (g)) (f)", "2"),
    (
        "(define (f x) (let ((g (lambda () (set! x (+ x 1)) x))) (g) (g))) (f 1)",
        "3",
    ),
    (
        "(define (counter) (let ((n 0)) (lambda () (set! n (+ n 1)) n))) (define c (counter)) (c) (c) (c)",
        "3",
    ),
    (
        "(let ((f (lambda (x) (lambda (y) (lambda (z) (list x y z)))))) (((f 1) 2) 3))",
        "(1 2 3)",
    ),
    ("(define (if* if) (if 1)) (if* (lambda (x) (+ x 1)))", "2"),
    ("(let ((list vector)) (list 1 2))", "#(1 2)"),
    ("`(1 ,(+ 1 1) ,@(list 3 4) 5)", "(1 2 3 4 5)"),
    ("`(1 . ,(+ 1 1))", "(1 . 2)"),
    ("`(a `(b ,(c ,(+ 1 2))))", "(a (quasiquote (b (unquote (c 3)))))"),
    ("`(,@'() . x)", "x"),
    (
        "(let loop ((i 0)) (cond ((= i 100000) i) (else (loop (+ i 1)))))",
        "100000",
    ),
    // Numbers
    ("(list (+) (*) (+ 1 2 3) (- 5) (- 10 1 2) (* 2 3 4))", "(0 1 6 -5 7 24)"),
    (
        "(list (quotient -7 2) (remainder -7 2) (modulo -7 2) (modulo 7 -2))",
        "(-3 -1 1 -1)",
    ),
    (
        "(list (< 1 2 3) (< 1 3 2) (>= 3 3 1) (= 1 1 2) (<= 1 1) (> 2 1))",
        "(#t #f #t #f #t #t)",
    ),
    (
        "(list (min 3 1 2) (max 3 1 2) (abs -4) (even? 4) (odd? 4) (zero? 0))",
        "(1 3 4 #t #f #t)",
    ),
    // Lists
    (
        "(list (append) (append '(1) '(2) '() '(3 4)) (append '(1) 2))",
        "(() (1 2 3 4) (1 . 2))",
    ),
    (
        "(list (reverse '(1 2 3)) (length '(1 2)) (list-tail '(1 2 3) 2) (list-ref '(1 2 3) 1))",
        "((3 2 1) 2 (3) 2)",
    ),
    ("(map + '(1 2 3) '(10 20 30))", "(11 22 33)"),
    (
        "(let ((sum 0)) (for-each (lambda (x y) (set! sum (+ sum (* x y)))) '(1 2) '(3 4)) sum)",
        "11",
    ),
    (
        "(list (assoc \"b\" '((\"a\" . 1) (\"b\" . 2))) (assq 'z '((a 1))) (member '(1) '(0 (1) 2)) (memq 'c '(a b)))",
        "((\"b\" . 2) #f ((1) 2) #f)",
    ),
    ("(let ((p (cons 1 2))) (set-car! p 3) (set-cdr! p 4) p)", "(3 . 4)"),
    ("(list (apply + 1 2 '(3 4)) (apply max '(1 5 2)))", "(10 5)"),
    (
        "(list (equal? '(1 #(2 \"x\")) '(1 #(2 \"x\"))) (eq? '() '()) (eq? \"a\" \"a\"))",
        "(#t #t #f)",
    ),
    (
        "(list (list? '(1 2)) (list? '(1 . 2)) (let ((l (list 1 2))) (set-cdr! (cdr l) l) (list? l)))",
        "(#t #f #f)",
    ),
    ("(list (filter odd? '(1 2 3)) (fold-left - 10 '(1 2)))", "((1 3) 7)"),
    // Text
    ("(string-append \"ab\" \"\" \"cd\")", "\"abcd\""),
    (
        "(list (substring \"hello\" 1 3) (string-length \"h\u{e9}\") (string-ref \"abc\" 1) (string=? \"a\" \"a\"))",
        "(\"el\" 2 #\\b #t)",
    ),
    (
        "(list (number->string -12) (string->number \"34\") (string->number \"x\") (string->symbol \"q\") (symbol->string 'q))",
        "(\"-12\" 34 #f q \"q\")",
    ),
    (
        "(list (string->list \"ab\") (list->string '(#\\x #\\y)) (string #\\z) (make-string 3 #\\-))",
        "((#\\a #\\b) \"xy\" \"z\" \"---\")",
    ),
    (
        "(list (char->integer #\\A) (integer->char 98) (char-upcase #\\q) (char<? #\\a #\\b) (char-numeric? #\\7))",
        "(65 #\\b #\\Q #t #t)",
    ),
    ("(eq? 'abc (string->symbol \"abc\"))", "#t"),
    // Vectors
    (
        "(let ((v (make-vector 3 'x))) (vector-set! v 1 'y) (list v (vector-length v) (vector-ref v 1)))",
        "(#(x y x) 3 y)",
    ),
    (
        "(let ((v (vector 1 2 3))) (vector-fill! v 0) (list v (vector->list v) (list->vector '(1 2))))",
        "(#(0 0 0) (0 0 0) #(1 2))",
    ),
    // Evaluation
    ("(eval '(+ 1 2))", "3"),
    ("(eval (read-string \"(* 6 7)\"))", "42"),
    (
        "(define (f n) (if (= n 0) 0 (+ 1 (eval (list 'f (- n 1)))))) (f 50)",
        "50",
    ),
    (
        "(list (procedure? car) (procedure? (lambda () 1)) (procedure? 'car))",
        "(#t #t #f)",
    ),
    ("(define (car x) 'mine) (define (f) (car 1)) (f)", "mine"),
];

const ERRORS: &[(&str, &str)] = &[
    ("(car 5)", "1:1: car: 5 is not a pair"),
    (
        "(define (f x)\n  (+ 1\n     (car x)))\n(f '())",
        "3:6: in f: car: () is not a pair",
    ),
    ("(+ 1 (foo 2))", "1:6: foo is not defined"),
    ("(set! nothing 1)", "1:1: nothing is not defined"),
    ("(5 5)", "1:1: 5 is not a procedure"),
    ("((lambda (x) x))", "1:1: #<procedure> does not take 0 arguments"),
    (
        "(define (g x) x) (g 1 2)",
        "1:18: #<procedure g> does not take 2 arguments",
    ),
    ("(cons 1)", "1:1: #<primitive cons> does not take 1 arguments"),
    ("(+ 'a 1)", "1:1: +: a is not a number"),
    ("(+ 536870911 1)", "1:1: +: the result has more than 30 bits"),
    ("(* 65536 65536)", "1:1: *: the result has more than 30 bits"),
    ("(quotient 1 0)", "1:1: quotient: division by zero"),
    ("(vector-ref (vector 1 2) 2)", "1:1: vector-ref: 2 is out of range"),
    ("(vector-ref (vector 1 2) -1)", "1:1: vector-ref: -1 is out of range"),
    ("(substring \"abc\" 2 1)", "1:1: substring: 2 is out of range"),
    ("(list-tail '(1 2) 3)", "1:1: list-tail: 3 is out of range"),
    ("(length '(1 . 2))", "1:1: length: (1 . 2) is not a list"),
    ("(let ((l (list 1))) (set-cdr! l l) (length l))", "length:"),
    ("(apply + 1)", "1:1: apply: 1 is not a list of arguments"),
    (
        "(letrec ((a b) (b 1)) a)",
        "1:1: a variable is used before its definition",
    ),
    ("(error \"no good:\" 1 \"two\" 'three)", "1:1: no good: 1 \"two\" three"),
    ("(if)", "1:1: if takes two or three: (if)"),
    ("\n  (let ((x)) x)", "2:9: a binding is a name and a value: (x)"),
    ("(lambda (1) 1)", "1:1: this is no name: 1"),
    (
        "(let () (if #t (define x 1)))",
        "1:16: a definition that does not begin a body: (define x 1)",
    ),
    (
        "(let loop () (set! loop 1))",
        "1:14: the name of a loop is not assigned to: (set! loop 1)",
    ),
    ("()", "a call of nothing: ()"),
    ("(1 . 2)", "1:1: a call that is no list: (1 . 2)"),
    ("(list 1 2", "1:1: the text ends before what begins here does"),
    ("\"abc", "1:1: the text ends before what begins here does"),
    (")", "1:1: nothing is open that this closes"),
    ("( . 1)", "1:3: nothing is before the dot"),
    ("(1 . 2 3)", "1:4: more than one datum is behind the dot"),
    ("#<x>", "1:1: no such datum"),
    ("99999999999", "1:1: a number has more than 30 bits"),
    (
        "(read-string \"(1 2\")",
        "1:1: the text ends before what begins here does",
    ),
    ("(string-append \"a\" 'b)", "1:1: string-append: b is not a string"),
    ("(integer->char 55296)", "1:1: integer->char: 55296 is out of range"),
    ("(make-vector 100000000 0)", "1:1: out of memory: no room for "),
    (
        "(define (deep n) (+ 1 (deep n))) (deep 0)",
        "in deep: out of memory: no room for ",
    ),
    (
        "(define (grow l) (grow (cons l l))) (grow 1)",
        "in grow: out of memory: no room for ",
    ),
    (
        "(define (double s) (double (string-append s s))) (double \"x\")",
        "in double: out of memory: no room for ",
    ),
];

/// All results and errors, with so many calls between safe points.
fn all(cx: &mut Cx, turns: u32) {
    let paper = Paper::default();
    for (text, expected) in RESULTS.iter() {
        let mut scheme = Scheme::new(cx, &paper).unwrap();
        scheme.set_turns(turns);
        assert_eq!(
            evaluate(&mut scheme, cx, text).as_deref().map_err(Error::to_string),
            Ok(*expected),
            "{text}"
        );
    }
    let mut scheme = Scheme::new(cx, &paper).unwrap();
    scheme.set_turns(turns);
    for (text, expected) in ERRORS {
        let told = evaluate(&mut scheme, cx, text).unwrap_err().to_string();
        assert!(told.contains(expected), "{text}\n  {told}\n  {expected}");
        assert_eq!(evaluate(&mut scheme, cx, "(+ 1 2)").unwrap(), "3", "it goes on");
    }
}

#[test]
fn results_and_errors_are_right() {
    with_arena(256 << 10, |cx| all(cx, 500)).unwrap();
}

#[test]
fn results_and_errors_are_right_when_everything_moves_at_every_safe_point() {
    /// What takes long is left to the others.
    fn is_short(text: &&(&str, &str)) -> bool {
        !text.0.contains("100000") && !text.1.contains("out of memory")
    }
    with_arena(256 << 10, |cx| {
        let paper = Paper::default();
        cx.set_stress(true);
        let mut scheme = Scheme::new(cx, &paper).unwrap();
        scheme.set_turns(1);
        for (text, expected) in RESULTS.iter().filter(is_short) {
            assert_eq!(
                evaluate(&mut scheme, cx, text).as_deref().map_err(Error::to_string),
                Ok(*expected),
                "{text}"
            );
        }
        for (text, expected) in ERRORS.iter().filter(is_short).filter(|(text, _)| !text.contains("car")) {
            let told = evaluate(&mut scheme, cx, text).unwrap_err().to_string();
            assert!(told.contains(expected), "{text}\n  {told}\n  {expected}");
        }
        assert!(cx.stats().compactions > 100, "{}", cx.stats());
    })
    .unwrap();
}

#[test]
fn output_goes_to_the_host() {
    with_arena(128 << 10, |cx| {
        let paper = Paper::default();
        let mut scheme = Scheme::new(cx, &paper).unwrap();
        scheme
            .load(
                cx,
                "(display \"a\\\"b\") (write \"a\\\"b\") (newline) (display '(#\\x \"y\" 3))",
            )
            .unwrap();
        assert_eq!(*paper.0.borrow(), "a\"b\"a\\\"b\"\n(x y 3)");
    })
    .unwrap();
}

#[test]
fn recursion_is_bounded_by_the_arena_and_not_by_the_native_stack() {
    let test = || {
        with_arena(16 << 20, |cx| {
            let paper = Paper::default();
            let mut scheme = Scheme::new(cx, &paper).unwrap();
            scheme
                .load(cx, "(define (sum n) (if (= n 0) 0 (+ 1 (sum (- n 1)))))")
                .unwrap();
            assert_eq!(evaluate(&mut scheme, cx, "(sum 200000)").unwrap(), "200000");
            scheme
                .load(cx, "(define (nest n x) (if (= n 0) x (nest (- n 1) (list x))))")
                .unwrap();
            let nested = evaluate(&mut scheme, cx, "(nest 100000 1)").unwrap();
            assert!(nested.contains("(...)"), "what is nested too deeply is not shown");
            let told = evaluate(&mut scheme, cx, "(equal? (nest 1000 1) (nest 1000 1))").unwrap_err();
            assert!(told.to_string().contains("equal?"));
            for text in ["(", "'", "`(", "#("] {
                let told = scheme.load(cx, &text.repeat(100_000)).unwrap_err().to_string();
                assert!(told.contains("nested too deeply"), "{told}");
            }
            let told = evaluate(&mut scheme, cx, "(eval (nest 1000 1))")
                .unwrap_err()
                .to_string();
            assert!(told.contains("nested too deeply"), "{told}");
        })
        .unwrap();
    };
    thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn want_of_memory_at_any_point_is_an_error() {
    let programs = [
        include_str!("../examples/lisp/programs/sieve.scm"),
        include_str!("../examples/lisp/programs/queens.scm"),
        include_str!("../examples/lisp/programs/meta.scm"),
        include_str!("../examples/lisp/programs/strings.scm"),
    ];
    let (mut failures, mut successes) = (0, 0);
    let step = if cfg!(feature = "check") { 16384 } else { 4096 };
    for bytes in (8 << 10..96 << 10).step_by(step) {
        let done = with_arena(bytes, |cx| {
            let paper = Paper::default();
            let mut scheme = match Scheme::new(cx, &paper) {
                Ok(scheme) => scheme,
                Err(error) => {
                    assert!(error.to_string().contains("out of memory"), "{bytes} bytes: {error}");
                    failures += 1;
                    return;
                }
            };
            for program in programs {
                match scheme.load(cx, program) {
                    Ok(()) => successes += 1,
                    Err(error) => {
                        assert!(error.to_string().contains("out of memory"), "{bytes} bytes: {error}");
                        failures += 1;
                    }
                }
            }
        });
        assert!(done.is_ok() || bytes < 16 << 10);
    }
    assert!(
        failures > 0 && successes > 0,
        "{failures} failures, {successes} successes"
    );
}

#[test]
fn any_text_is_read_or_refused() {
    const TOKENS: &[&str] = &[
        "(",
        "(",
        "(",
        ")",
        ")",
        ")",
        "'",
        "`",
        ",",
        ",@",
        ".",
        "#(",
        "\"a\"",
        "\"",
        "#\\a",
        "#t",
        "1",
        "-2",
        "x",
        "car",
        "cons",
        "list",
        "if",
        "let",
        "let*",
        "letrec",
        "define",
        "set!",
        "quote",
        "quasiquote",
        "unquote",
        "cond",
        "case",
        "else",
        "=>",
        "and",
        "or",
        "when",
        "begin",
        "+",
        "vector-ref",
        "append",
        "apply",
        "()",
        "((x 1))",
        "(x)",
        ";",
        "\n",
    ];
    let seed = 0x115B;
    let mut random = Random::new(seed);
    with_arena(64 << 10, |cx| {
        let paper = Paper::default();
        let mut scheme = Scheme::new(cx, &paper).unwrap();
        let mut read = 0;
        for round in 0..support::scaled(20_000) {
            let mut text = String::new();
            for _ in 0..random.below(24) {
                write!(text, "{} ", TOKENS[random.below(TOKENS.len())]).unwrap();
            }
            if round % 500 == 0 {
                scheme = Scheme::new(cx, &paper).unwrap();
            }
            read += usize::from(scheme.load(cx, &text).is_ok());
        }
        assert!(read > 0, "seed {seed}");
    })
    .unwrap();
}
