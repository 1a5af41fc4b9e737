//! What the processor can do.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;

/// The instruction sets that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust on any processor: the definition of all others.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512 F, BW and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// aarch64 without dot products, and 32-bit ARM with vectors.
    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    Neon,
    /// aarch64 with dot products of four pairs of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDotprod,
    /// aarch64 with dot products and matrix products of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonI8mm,
}

impl InstructionSet {
    /// Those that this processor has, the fastest last.
    pub fn available() -> Vec<InstructionSet> {
        #[allow(unused_mut)]
        let mut available = vec![InstructionSet::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                available.push(InstructionSet::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                available.push(InstructionSet::Avx512Vnni);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            available.push(InstructionSet::Neon);
            if is_aarch64_feature_detected!("dotprod") {
                available.push(InstructionSet::NeonDotprod);
                if is_aarch64_feature_detected!("i8mm") {
                    available.push(InstructionSet::NeonI8mm);
                }
            }
        }
        #[cfg(target_arch = "arm")]
        if super::arm::has_vectors() {
            available.push(InstructionSet::Neon);
        }
        available
    }

    /// The fastest that this processor has.
    pub fn detect() -> InstructionSet {
        Self::available().pop().unwrap_or(InstructionSet::Scalar)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => "avx512-vnni",
            #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
            InstructionSet::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonDotprod => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonI8mm => "neon-i8mm",
        }
    }
}
