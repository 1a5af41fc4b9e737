//! How fast a core can multiply bytes at all.

#[cfg(target_arch = "aarch64")]
use super::aarch64;
#[cfg(target_arch = "arm")]
use super::arm;
use super::instruction_set::InstructionSet;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// One instruction for each of the registers that it writes to.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
macro_rules! on_each_register {
    ($name:literal, [$($register:tt)*], $operands:literal) => {
        // SAFETY: it only changes registers.
        unsafe {
            std::arch::asm!(
                $(concat!($name, $register, $operands),)*
                $(out($register) _,)*
                options(nomem, nostack, preserves_flags),
            );
        }
    };
}
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(super) use on_each_register;

/// Multiplies and adds up bytes `rounds` times by the instructions of the convolutions, on registers alone: how long
/// that takes is the peak of the core. Gives the number of multiply-accumulates; `None` for the scalar kernels, which
/// have no such instructions.
pub fn multiply_registers(instruction_set: InstructionSet, rounds: usize) -> Option<u64> {
    let per_round = match instruction_set {
        InstructionSet::Scalar => return None,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => x86::peak::avx2(rounds),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni => x86::peak::vnni(rounds),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => aarch64::peak::neon(rounds),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonDotprod => aarch64::peak::dotprod(rounds),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonI8mm => aarch64::peak::i8mm(rounds),
        #[cfg(target_arch = "arm")]
        InstructionSet::Neon => arm::peak(rounds),
    };
    Some(per_round * rounds as u64)
}
