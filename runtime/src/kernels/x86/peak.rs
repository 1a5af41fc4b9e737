//! The instructions of the convolutions on registers alone, in as many chains as hide their latency. Each function
//! gives the multiply-accumulates of a round.

use std::arch::asm;

/// 12 times 64.
pub fn vnni(rounds: usize) -> u64 {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            // SAFETY: it only changes registers.
            unsafe {
                asm!(
                "vpdpbusd zmm0, zmm30, zmm31",
                "vpdpbusd zmm1, zmm30, zmm31",
                "vpdpbusd zmm2, zmm30, zmm31",
                "vpdpbusd zmm3, zmm30, zmm31",
                "vpdpbusd zmm4, zmm30, zmm31",
                "vpdpbusd zmm5, zmm30, zmm31",
                "vpdpbusd zmm6, zmm30, zmm31",
                "vpdpbusd zmm7, zmm30, zmm31",
                "vpdpbusd zmm8, zmm30, zmm31",
                "vpdpbusd zmm9, zmm30, zmm31",
                "vpdpbusd zmm10, zmm30, zmm31",
                "vpdpbusd zmm11, zmm30, zmm31",
                out("zmm0") _,
                out("zmm1") _,
                out("zmm2") _,
                out("zmm3") _,
                out("zmm4") _,
                out("zmm5") _,
                out("zmm6") _,
                out("zmm7") _,
                out("zmm8") _,
                out("zmm9") _,
                out("zmm10") _,
                out("zmm11") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    12 * 64
}

/// 6 times 16, which are added up by a second instruction.
pub fn avx2(rounds: usize) -> u64 {
    #[target_feature(enable = "avx2")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            // SAFETY: it only changes registers.
            unsafe {
                asm!(
                "vpmaddwd ymm6, ymm14, ymm15",
                "vpmaddwd ymm7, ymm14, ymm15",
                "vpmaddwd ymm8, ymm14, ymm15",
                "vpmaddwd ymm9, ymm14, ymm15",
                "vpmaddwd ymm10, ymm14, ymm15",
                "vpmaddwd ymm11, ymm14, ymm15",
                "vpaddd ymm0, ymm0, ymm6",
                "vpaddd ymm1, ymm1, ymm7",
                "vpaddd ymm2, ymm2, ymm8",
                "vpaddd ymm3, ymm3, ymm9",
                "vpaddd ymm4, ymm4, ymm10",
                "vpaddd ymm5, ymm5, ymm11",
                out("ymm0") _,
                out("ymm1") _,
                out("ymm2") _,
                out("ymm3") _,
                out("ymm4") _,
                out("ymm5") _,
                out("ymm6") _,
                out("ymm7") _,
                out("ymm8") _,
                out("ymm9") _,
                out("ymm10") _,
                out("ymm11") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    6 * 16
}
