//! A write past the end of a private heap, which the memory protection unit stops before it hits a neighbour. And before that, banks
//! of memory that a heap has given back, which nobody can access until it has them again.
//!
//! The program ends well only by the fault that it provokes, at the address where the guard is.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::alloc::{GlobalAlloc, Layout};

use terrace::{
    Access, Bank, Banks, Contents, CriticalSectionHeap, Criticality, FixedMemory, Growth, GuardError, HostError, Mpu,
    NoLock, PrivateHeap, PrivateHeapError, ShieldedBanks,
};
use terrace_board::{NAME, expect_fault, println};

static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();

/// Bytes of the driver's heap, and of each guard.
const DRIVER: usize = 1024;
const GUARD: usize = 32;

/// Guards come and go with their heaps, and what they guarded is ordinary memory again.
fn come_and_go(mpu: Mpu) {
    let regions = mpu.free_regions();
    for _ in 0..100 {
        let short = guarded(mpu, GUARD).expect("there is room");
        assert_eq!(mpu.free_regions(), regions - 2);
        drop(short);
        assert_eq!(mpu.free_regions(), regions);
    }
    let whole = HEAP.private_heap(8 * 1024).create().expect("there is room");
    let numbers = whole.alloc(Layout::new::<[u32; 2000]>()).expect("there is room");
    // SAFETY: the block is ours, and as long as that.
    unsafe { numbers.cast::<[u32; 2000]>().write_volatile([7; 2000]) };

    // A part of any memory that is not in use can be guarded.
    // SAFETY: the block is ours, and nobody uses it.
    let guard = unsafe { mpu.guard_within(numbers.as_ptr(), 1000) }.expect("a region is free");
    let addresses = guard.addresses();
    assert!(addresses.len() >= 256 && addresses.start >= numbers.addr().get());
    assert!(addresses.end <= numbers.addr().get() + 1000);
    drop(guard);
    protect(mpu, numbers.as_ptr().with_addr(addresses.start), addresses.len());
}

/// The same memory, protected by hand: each step tells what the last one did.
fn protect(mpu: Mpu, start: *mut u8, bytes: usize) {
    let regions = mpu.free_regions();
    let steps = [Access::ReadOnly, Access::NoAccess, Access::ReadOnly, Access::ReadWrite];
    let mut before = Access::ReadWrite;
    for access in steps {
        // SAFETY: the memory belongs to the caller, and is only read where that is allowed.
        unsafe {
            assert_eq!(mpu.protect(start, bytes, access), Ok(before));
            assert!(access == Access::NoAccess || start.cast::<u32>().read_volatile() == 7);
        }
        assert_eq!(
            (mpu.access(start.addr(), bytes), mpu.access(start.addr(), bytes / 2)),
            (access, Access::ReadWrite)
        );
        before = access;
    }
    assert_eq!(mpu.free_regions(), regions);
    // SAFETY: the memory belongs to the caller, and is no more protected.
    unsafe { start.write_volatile(7) };
}

/// Without guards as asked for there is no private heap, and nothing is lost.
fn run_out(mpu: Mpu) {
    let (load, regions) = (HEAP.load(), mpu.free_regions());
    for bytes in [0, 16, 33, 96] {
        let error = guarded(mpu, bytes).err();
        assert_eq!(error, Some(PrivateHeapError::Guard(GuardError::Size { bytes })));
    }
    let mut heaps = [const { None }; 8];
    let mut made = heaps.iter_mut();
    let error = loop {
        match guarded(mpu, GUARD) {
            Ok(heap) => *made.next().expect("a unit with 16 regions at most") = Some(heap),
            Err(error) => break error,
        }
    };
    println!("refused: {error}");
    assert_eq!(
        error,
        PrivateHeapError::Guard(GuardError::NoRegion { regions: mpu.regions() })
    );
    drop(heaps);
    assert_eq!((HEAP.load(), mpu.free_regions()), (load, regions));
}

/// Banks of a second heap, which are always on.
const BANK: usize = 4 * 1024;

struct Power;

// SAFETY: memory that is on anyway is valid.
unsafe impl Banks for Power {
    unsafe fn switch_on(&self, _: Bank, _: Criticality) -> Result<Contents, HostError> {
        Ok(Contents::Undefined)
    }

    unsafe fn switch_off(&self, _: Bank) -> Result<(), HostError> {
        Ok(())
    }
}

#[repr(align(4096))]
struct Ram(#[allow(dead_code, reason = "only its address is used")] [[u8; BANK]; 2]);

static mut RAM: Ram = Ram([[0; BANK]; 2]);

// SAFETY: the memory is the host's alone, and as long as that.
static HOST: FixedMemory<ShieldedBanks<Power>, 2> =
    unsafe { FixedMemory::from_raw((&raw mut RAM).cast(), 2 * BANK, ShieldedBanks::new(Power)) };

/// What a heap gives back is out of everybody's reach until it has it again.
fn banks(mpu: Mpu) {
    static BANKED: CriticalSectionHeap = CriticalSectionHeap::new();
    let regions = mpu.free_regions();
    BANKED
        .claim_from(&HOST, Growth::new(2 * BANK).with_slack(0))
        .expect("the memory is there");
    HOST.banks().shield(mpu);
    let upper = (&raw const RAM).addr() + BANK;
    for _ in 0..3 {
        let layout = Layout::new::<[u8; BANK]>(); // more than there is room for in one bank
        // SAFETY: the layout is not empty; the block is as long as that, and is given up.
        unsafe {
            let block = BANKED.alloc(layout);
            assert!(!block.is_null());
            assert_eq!(
                (mpu.access(upper, BANK), mpu.free_regions()),
                (Access::ReadWrite, regions)
            );
            block.write_bytes(7, BANK);
            BANKED.dealloc(block, layout);
        }
        BANKED.trim();
        assert_eq!(
            (mpu.access(upper, BANK), mpu.free_regions()),
            (Access::NoAccess, regions - 1)
        );
    }
    println!("a bank that a heap has given back is out of reach");
}

/// A private heap with guards of so many bytes.
fn guarded(mpu: Mpu, bytes: usize) -> Result<PrivateHeap<'static, NoLock>, PrivateHeapError> {
    HEAP.private_heap(DRIVER).guarded(mpu, bytes).create_local()
}

terrace_board::entry!(main);

fn main() {
    terrace::init!(HEAP, 16 * 1024).expect("the heap is claimed once");
    // SAFETY: all code of this program runs privileged, and nothing else of it uses the unit.
    let mpu = match unsafe { Mpu::enable() } {
        Ok(mpu) => mpu,
        Err(error) => {
            println!("{error} on {NAME}: nothing to see here");
            return;
        }
    };
    come_and_go(mpu);
    run_out(mpu);
    banks(mpu);

    // A driver's heap between guards, and the block in it that ends where it ends.
    let driver = guarded(mpu, GUARD).expect("there is room");
    let [low, high] = driver.guards().expect("it was made with guards");
    println!("{NAME}: a heap between guards at {low:#x?} and {high:#x?}");
    let bytes = high.start - low.end - 16; // all of it but a header
    let buffer = driver
        .alloc(Layout::array::<u8>(bytes).expect("a small array"))
        .expect("it is empty");
    assert_eq!(
        (buffer.addr().get() - 16, buffer.addr().get() + bytes),
        (low.end, high.start)
    );

    // The driver fills its buffer, and does not stop where that ends.
    expect_fault(high.clone());
    let mut next = buffer.as_ptr();
    loop {
        assert!(next.addr() <= high.start, "written into the guard");
        // SAFETY: up to the buffer's end this is the buffer; there, the processor refuses it, and the program ends.
        unsafe { next.write_volatile(0x5A) };
        next = next.wrapping_add(1);
    }
}
