//! The loops of the kernels. By the procedure call standard of ARM d0 to d7, d16 to d31, r0 to r3 and r12 are free.

use std::arch::naked_asm;

use crate::kernels::geometry::{DEPTH, LANES};
use crate::kernels::requantize::{Requantization, WHOLE};

/// Bytes of the weights of half of the [`LANES`] channels in a step.
pub const WEIGHTS: usize = LANES / 2 * DEPTH;

/// Sums of eight channels of a pixel, two for each, of every other pair of products.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Halves([i32; 16]);

impl Halves {
    pub const ZERO: Halves = Halves([0; 16]);
}

/// What a requantisation needs beside its multipliers.
#[repr(C, align(16))]
pub struct Constants {
    low: f32,
    high: f32,
    /// Next to it floats are whole numbers.
    whole: f32,
    /// What its bits are more than the zero point's.
    offset: i32,
}

impl Constants {
    pub fn new(requantization: &Requantization) -> Self {
        let [low, high] = requantization.bounds();
        Constants {
            low,
            high,
            whole: WHOLE,
            offset: WHOLE.to_bits() as i32 - i32::from(requantization.zero_point),
        }
    }
}

/// [`LANES`] channels of a depthwise convolution.
#[repr(C)]
pub struct Block {
    /// Number of taps.
    pub taps: usize,
    /// The first of the channels, which is looked up from where the taps point to.
    pub channel: usize,
    /// \[tap\]\[LANES\]
    pub weights: *const i8,
    /// One per channel.
    pub bias: *const i32,
}

/// Adds to the sums of eight channels of two pixels the products of `steps` times [`DEPTH`] bytes from `first` and
/// `second` on with the first half of each step's weights.
///
/// # Safety
/// The processor must have NEON, and the pointers be to as many bytes as the steps call for.
#[unsafe(naked)]
pub unsafe extern "C" fn accumulate(
    first: *const i8,
    second: *const i8,
    weights: *const i8,
    steps: usize,
    sums: &mut [Halves; 2],
) {
    naked_asm!(
        ".fpu neon",
        "push {{r4, r5}}",
        "vpush {{d8-d15}}",
        "ldr r12, [sp, #72]",
        "vldm r12, {{d16-d31}}",
        // Weights of this step and of the next; from one half of a step's to that of the next but one.
        "add r4, r2, #64",
        "mov r5, #112",
        "subs r3, r3, #2",
        "blt 3f",
        "2:",
        "vld1.32 {{d0[]}}, [r0]!",
        "vld1.32 {{d2[]}}, [r1]!",
        "vld1.8 {{d4-d5}}, [r2]!",
        "vld1.32 {{d1[]}}, [r0]!",
        "vmull.s8 q4, d4, d0",
        "vld1.32 {{d3[]}}, [r1]!",
        "vmull.s8 q5, d5, d0",
        "vld1.8 {{d6-d7}}, [r4]!",
        "vmull.s8 q6, d4, d2",
        "vmull.s8 q7, d5, d2",
        "vld1.8 {{d4-d5}}, [r2], r5",
        "vmlal.s8 q4, d6, d1",
        "vmlal.s8 q5, d7, d1",
        "vmlal.s8 q6, d6, d3",
        "vmlal.s8 q7, d7, d3",
        "vld1.8 {{d6-d7}}, [r4], r5",
        "vpadal.s16 q8, q4",
        "vpadal.s16 q9, q5",
        "vpadal.s16 q12, q6",
        "vpadal.s16 q13, q7",
        "vmull.s8 q4, d4, d0",
        "vmull.s8 q5, d5, d0",
        "vmull.s8 q6, d4, d2",
        "vmull.s8 q7, d5, d2",
        "vmlal.s8 q4, d6, d1",
        "vmlal.s8 q5, d7, d1",
        "vmlal.s8 q6, d6, d3",
        "vmlal.s8 q7, d7, d3",
        "subs r3, r3, #2",
        "vpadal.s16 q10, q4",
        "vpadal.s16 q11, q5",
        "vpadal.s16 q14, q6",
        "vpadal.s16 q15, q7",
        "bge 2b",
        "3:",
        "adds r3, r3, #2",
        "beq 4f",
        // The last of an odd number of steps.
        "vld1.32 {{d0[]}}, [r0]",
        "vld1.32 {{d2[]}}, [r1]",
        "vld1.8 {{d4-d7}}, [r2]",
        "vmull.s8 q4, d4, d0",
        "vmull.s8 q5, d5, d0",
        "vmull.s8 q6, d4, d2",
        "vmull.s8 q7, d5, d2",
        "vpadal.s16 q8, q4",
        "vpadal.s16 q9, q5",
        "vpadal.s16 q12, q6",
        "vpadal.s16 q13, q7",
        "vmull.s8 q4, d6, d0",
        "vmull.s8 q5, d7, d0",
        "vmull.s8 q6, d6, d2",
        "vmull.s8 q7, d7, d2",
        "vpadal.s16 q10, q4",
        "vpadal.s16 q11, q5",
        "vpadal.s16 q14, q6",
        "vpadal.s16 q15, q7",
        "4:",
        "vstm r12, {{d16-d31}}",
        "vpop {{d8-d15}}",
        "pop {{r4, r5}}",
        "bx lr",
    )
}

/// Requantises the 16 sums in q0 to q3 by the multipliers at r3 and the [`Constants`] at r1, stores the bytes at r12.
macro_rules! requantize {
    () => {
        "vld1.32 {{d16-d19}}, [r3]!
        vld1.32 {{d20-d23}}, [r3]
        vld1.32 {{d24-d25}}, [r1]
        vcvt.f32.s32 q0, q0
        vcvt.f32.s32 q1, q1
        vcvt.f32.s32 q2, q2
        vcvt.f32.s32 q3, q3
        vmul.f32 q0, q0, q8
        vmul.f32 q1, q1, q9
        vmul.f32 q2, q2, q10
        vmul.f32 q3, q3, q11
        vdup.32 q8, d24[0]
        vdup.32 q9, d24[1]
        vdup.32 q10, d25[0]
        vdup.32 q11, d25[1]
        vmax.f32 q0, q0, q8
        vmax.f32 q1, q1, q8
        vmax.f32 q2, q2, q8
        vmax.f32 q3, q3, q8
        vmin.f32 q0, q0, q9
        vmin.f32 q1, q1, q9
        vmin.f32 q2, q2, q9
        vmin.f32 q3, q3, q9
        vadd.f32 q0, q0, q10
        vadd.f32 q1, q1, q10
        vadd.f32 q2, q2, q10
        vadd.f32 q3, q3, q10
        vsub.i32 q0, q0, q11
        vsub.i32 q1, q1, q11
        vsub.i32 q2, q2, q11
        vsub.i32 q3, q3, q11
        vmovn.i32 d0, q0
        vmovn.i32 d1, q1
        vmovn.i32 d2, q2
        vmovn.i32 d3, q3
        vmovn.i16 d0, q0
        vmovn.i16 d1, q1
        vst1.8 {{d0-d1}}, [r12]"
    };
}

/// Stores the outputs of [`LANES`] channels of a pixel, given the sums of each eight.
///
/// # Safety
/// The processor must have NEON; there must be [`LANES`] biases, multipliers and outputs.
#[unsafe(naked)]
pub unsafe extern "C" fn finish(
    halves: &[&Halves; 2],
    constants: &Constants,
    bias: *const i32,
    multipliers: *const f32,
    output: *mut i8,
) {
    naked_asm!(
        ".fpu neon",
        "push {{r4, r5}}",
        "ldr r12, [sp, #8]",
        "ldm r0, {{r4, r5}}",
        "vldm r4, {{d16-d23}}",
        "vldm r5, {{d24-d31}}",
        "vpadd.i32 d0, d16, d17",
        "vpadd.i32 d1, d18, d19",
        "vpadd.i32 d2, d20, d21",
        "vpadd.i32 d3, d22, d23",
        "vpadd.i32 d4, d24, d25",
        "vpadd.i32 d5, d26, d27",
        "vpadd.i32 d6, d28, d29",
        "vpadd.i32 d7, d30, d31",
        "vld1.32 {{d16-d19}}, [r2]!",
        "vld1.32 {{d20-d23}}, [r2]",
        "vadd.i32 q0, q0, q8",
        "vadd.i32 q1, q1, q9",
        "vadd.i32 q2, q2, q10",
        "vadd.i32 q3, q3, q11",
        requantize!(),
        "pop {{r4, r5}}",
        "bx lr",
    )
}

/// Stores the outputs of [`LANES`] channels of a pixel of a depthwise convolution; two products of its weights must fit
/// into 16 bits.
///
/// # Safety
/// The processor must have NEON; every tap, and weights, biases, multipliers and outputs, must hold the channels.
#[unsafe(naked)]
pub unsafe extern "C" fn depthwise(
    taps: *const *const i8,
    constants: &Constants,
    block: &Block,
    multipliers: *const f32,
    output: *mut i8,
) {
    naked_asm!(
        ".fpu neon",
        "push {{r4-r7}}",
        "ldr r12, [sp, #16]",
        "ldm r2, {{r4-r7}}",
        "vld1.32 {{d0-d3}}, [r7]!",
        "vld1.32 {{d4-d7}}, [r7]",
        "subs r4, r4, #2",
        "blt 3f",
        "2:",
        "ldm r0!, {{r2, r7}}",
        "add r2, r2, r5",
        "add r7, r7, r5",
        "vld1.8 {{d20-d23}}, [r6]!",
        "vld1.8 {{d16-d17}}, [r2]",
        "vld1.8 {{d18-d19}}, [r7]",
        "vmull.s8 q12, d16, d20",
        "vmull.s8 q13, d17, d21",
        "vmlal.s8 q12, d18, d22",
        "vmlal.s8 q13, d19, d23",
        "subs r4, r4, #2",
        "vaddw.s16 q0, q0, d24",
        "vaddw.s16 q1, q1, d25",
        "vaddw.s16 q2, q2, d26",
        "vaddw.s16 q3, q3, d27",
        "bge 2b",
        "3:",
        "adds r4, r4, #2",
        "beq 4f",
        // The last of an odd number of taps.
        "ldr r2, [r0]",
        "add r2, r2, r5",
        "vld1.8 {{d16-d17}}, [r2]",
        "vld1.8 {{d20-d21}}, [r6]",
        "vmull.s8 q12, d16, d20",
        "vmull.s8 q13, d17, d21",
        "vaddw.s16 q0, q0, d24",
        "vaddw.s16 q1, q1, d25",
        "vaddw.s16 q2, q2, d26",
        "vaddw.s16 q3, q3, d27",
        "4:",
        requantize!(),
        "pop {{r4-r7}}",
        "bx lr",
    )
}

/// Multiplies bytes `rounds` times on registers alone, as [`accumulate`] does; [`PEAK_ROUND`] times in a round.
///
/// # Safety
/// The processor must have NEON.
#[unsafe(naked)]
pub unsafe extern "C" fn multiply_registers(rounds: usize) {
    naked_asm!(
        ".fpu neon",
        "vpush {{d8-d15}}",
        "2:",
        "vmull.s8 q4, d0, d1",
        "vmull.s8 q5, d0, d1",
        "vmull.s8 q6, d0, d1",
        "vmull.s8 q7, d0, d1",
        "vmlal.s8 q4, d2, d3",
        "vmlal.s8 q5, d2, d3",
        "vmlal.s8 q6, d2, d3",
        "vmlal.s8 q7, d2, d3",
        "subs r0, r0, #1",
        "vpadal.s16 q8, q4",
        "vpadal.s16 q9, q5",
        "vpadal.s16 q10, q6",
        "vpadal.s16 q11, q7",
        "bgt 2b",
        "vpop {{d8-d15}}",
        "bx lr",
    )
}

/// Multiply-accumulates of a round of [`multiply_registers`].
pub const PEAK_ROUND: u64 = 4 * 16;
