//! The instructions of the convolutions on registers alone, in as many chains as hide their latency. Each function
//! gives the multiply-accumulates of a round.

use crate::kernels::peak::on_each_register;

/// 12 times 64.
pub fn vnni(rounds: usize) -> u64 {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn multiply(rounds: usize) {
        for _ in 0..rounds {
            on_each_register!(
                "vpdpbusd ", ["zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7" "zmm8" "zmm9" "zmm10" "zmm11"],
                ", zmm30, zmm31"
            );
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
            on_each_register!("vpmaddwd ", ["ymm6" "ymm7" "ymm8" "ymm9" "ymm10" "ymm11"], ", ymm14, ymm15");
            on_each_register!("vpaddd ", ["ymm0" "ymm1" "ymm2" "ymm3" "ymm4" "ymm5"], ", ymm6, ymm7");
        }
    }
    // SAFETY: the instruction set was detected.
    unsafe { multiply(rounds) };
    6 * 16
}
