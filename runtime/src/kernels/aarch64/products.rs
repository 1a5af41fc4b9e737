//! Products of bytes that the intrinsics don't make well.

use std::arch::aarch64::*;
use std::arch::asm;

/// Products of the upper halves. The compiler makes two instructions of the intrinsic where it has the lower halves
/// multiplied as well.
#[inline]
#[target_feature(enable = "neon")]
pub fn smull2(a: int8x16_t, b: int8x16_t) -> int16x8_t {
    let products;
    // SAFETY: it only computes.
    unsafe {
        asm!(
            "smull2 {products:v}.8h, {a:v}.16b, {b:v}.16b",
            products = lateout(vreg) products,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    products
}

/// As [`smull2`], added to `sums`.
#[inline]
#[target_feature(enable = "neon")]
pub fn smlal2(mut sums: int16x8_t, a: int8x16_t, b: int8x16_t) -> int16x8_t {
    // SAFETY: it only computes.
    unsafe {
        asm!(
            "smlal2 {sums:v}.8h, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
