//! The instructions of the convolutions on registers alone, in as many chains as hide their latency. Each function
//! gives the multiply-accumulates of a round.

use std::arch::asm;

/// 16 times 16.
pub fn dotprod(rounds: usize) -> u64 {
    #[target_feature(enable = "neon,dotprod")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            // SAFETY: it only changes registers.
            unsafe {
                asm!(
                "sdot v0.4s, v30.16b, v31.16b",
                "sdot v1.4s, v30.16b, v31.16b",
                "sdot v2.4s, v30.16b, v31.16b",
                "sdot v3.4s, v30.16b, v31.16b",
                "sdot v4.4s, v30.16b, v31.16b",
                "sdot v5.4s, v30.16b, v31.16b",
                "sdot v6.4s, v30.16b, v31.16b",
                "sdot v7.4s, v30.16b, v31.16b",
                "sdot v8.4s, v30.16b, v31.16b",
                "sdot v9.4s, v30.16b, v31.16b",
                "sdot v10.4s, v30.16b, v31.16b",
                "sdot v11.4s, v30.16b, v31.16b",
                "sdot v12.4s, v30.16b, v31.16b",
                "sdot v13.4s, v30.16b, v31.16b",
                "sdot v14.4s, v30.16b, v31.16b",
                "sdot v15.4s, v30.16b, v31.16b",
                out("v0") _,
                out("v1") _,
                out("v2") _,
                out("v3") _,
                out("v4") _,
                out("v5") _,
                out("v6") _,
                out("v7") _,
                out("v8") _,
                out("v9") _,
                out("v10") _,
                out("v11") _,
                out("v12") _,
                out("v13") _,
                out("v14") _,
                out("v15") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    16 * 16
}

/// 16 times 32.
pub fn i8mm(rounds: usize) -> u64 {
    #[target_feature(enable = "neon,i8mm")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            // SAFETY: it only changes registers.
            unsafe {
                asm!(
                "smmla v0.4s, v30.16b, v31.16b",
                "smmla v1.4s, v30.16b, v31.16b",
                "smmla v2.4s, v30.16b, v31.16b",
                "smmla v3.4s, v30.16b, v31.16b",
                "smmla v4.4s, v30.16b, v31.16b",
                "smmla v5.4s, v30.16b, v31.16b",
                "smmla v6.4s, v30.16b, v31.16b",
                "smmla v7.4s, v30.16b, v31.16b",
                "smmla v8.4s, v30.16b, v31.16b",
                "smmla v9.4s, v30.16b, v31.16b",
                "smmla v10.4s, v30.16b, v31.16b",
                "smmla v11.4s, v30.16b, v31.16b",
                "smmla v12.4s, v30.16b, v31.16b",
                "smmla v13.4s, v30.16b, v31.16b",
                "smmla v14.4s, v30.16b, v31.16b",
                "smmla v15.4s, v30.16b, v31.16b",
                out("v0") _,
                out("v1") _,
                out("v2") _,
                out("v3") _,
                out("v4") _,
                out("v5") _,
                out("v6") _,
                out("v7") _,
                out("v8") _,
                out("v9") _,
                out("v10") _,
                out("v11") _,
                out("v12") _,
                out("v13") _,
                out("v14") _,
                out("v15") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    16 * 32
}

/// 8 times 16, by two instructions, which are added up by a third.
pub fn neon(rounds: usize) -> u64 {
    #[target_feature(enable = "neon")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            // SAFETY: it only changes registers.
            unsafe {
                asm!(
                "smull v8.8h, v30.8b, v31.8b",
                "smull v9.8h, v30.8b, v31.8b",
                "smull v10.8h, v30.8b, v31.8b",
                "smull v11.8h, v30.8b, v31.8b",
                "smull v12.8h, v30.8b, v31.8b",
                "smull v13.8h, v30.8b, v31.8b",
                "smull v14.8h, v30.8b, v31.8b",
                "smull v15.8h, v30.8b, v31.8b",
                "smlal v8.8h, v30.8b, v31.8b",
                "smlal v9.8h, v30.8b, v31.8b",
                "smlal v10.8h, v30.8b, v31.8b",
                "smlal v11.8h, v30.8b, v31.8b",
                "smlal v12.8h, v30.8b, v31.8b",
                "smlal v13.8h, v30.8b, v31.8b",
                "smlal v14.8h, v30.8b, v31.8b",
                "smlal v15.8h, v30.8b, v31.8b",
                "sadalp v0.4s, v8.8h",
                "sadalp v1.4s, v9.8h",
                "sadalp v2.4s, v10.8h",
                "sadalp v3.4s, v11.8h",
                "sadalp v4.4s, v12.8h",
                "sadalp v5.4s, v13.8h",
                "sadalp v6.4s, v14.8h",
                "sadalp v7.4s, v15.8h",
                out("v0") _,
                out("v1") _,
                out("v2") _,
                out("v3") _,
                out("v4") _,
                out("v5") _,
                out("v6") _,
                out("v7") _,
                out("v8") _,
                out("v9") _,
                out("v10") _,
                out("v11") _,
                out("v12") _,
                out("v13") _,
                out("v14") _,
                out("v15") _,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    8 * 16
}
