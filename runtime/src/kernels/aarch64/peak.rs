//! The instructions of the convolutions on registers alone, in as many chains as hide their latency. Each function
//! gives the multiply-accumulates of a round.

use crate::kernels::peak::on_each_register;

/// 16 times 16.
pub fn dotprod(rounds: usize) -> u64 {
    #[target_feature(enable = "neon,dotprod")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            on_each_register!(
                "sdot ", ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v8" "v9" "v10" "v11" "v12" "v13" "v14" "v15"],
                ".4s, v30.16b, v31.16b"
            );
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
            on_each_register!(
                "smmla ", ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v8" "v9" "v10" "v11" "v12" "v13" "v14" "v15"],
                ".4s, v30.16b, v31.16b"
            );
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
            on_each_register!("smull ", ["v8" "v9" "v10" "v11" "v12" "v13" "v14" "v15"], ".8h, v30.8b, v31.8b");
            on_each_register!("smlal ", ["v8" "v9" "v10" "v11" "v12" "v13" "v14" "v15"], ".8h, v30.8b, v31.8b");
            on_each_register!("sadalp ", ["v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7"], ".4s, v8.8h");
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    8 * 16
}
