//! Sums of float planes.

use std::arch::x86_64::*;
use std::array::from_fn;

use crate::kernels::planes::{Row, WIDTH};

pub fn sum_512(row: &Row, sums: &mut [[f32; WIDTH]]) {
    #[target_feature(enable = "avx512f")]
    unsafe fn sum(row: &Row, sums: &mut [[f32; WIDTH]]) {
        for (index, sums) in sums.iter_mut().enumerate() {
            let mut running = [_mm512_set1_ps(row.bias); WIDTH / 16];
            for (&weight, &offset) in row.weights.iter().zip(row.offsets) {
                let weight = _mm512_set1_ps(weight);
                // SAFETY: `Row::check` has made sure that there are values.
                let values: [__m512; WIDTH / 16] = from_fn(|vector| unsafe {
                    let place = offset + index * WIDTH + vector * 16;
                    _mm512_loadu_ps(row.values.as_ptr().add(place))
                });
                running =
                    from_fn(|vector| _mm512_fmadd_ps(values[vector], weight, running[vector]));
            }
            for (sums, running) in sums.as_chunks_mut::<16>().0.iter_mut().zip(running) {
                // SAFETY: there are 16 of them.
                unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), running) }
            }
        }
    }
    row.check(sums);
    // SAFETY: the instruction set was detected.
    unsafe { sum(row, sums) }
}

pub fn sum_256(row: &Row, sums: &mut [[f32; WIDTH]]) {
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sum(row: &Row, sums: &mut [[f32; WIDTH]]) {
        for (index, sums) in sums.iter_mut().enumerate() {
            let mut running = [_mm256_set1_ps(row.bias); WIDTH / 8];
            for (&weight, &offset) in row.weights.iter().zip(row.offsets) {
                let weight = _mm256_set1_ps(weight);
                // SAFETY: `Row::check` has made sure that there are values.
                let values: [__m256; WIDTH / 8] = from_fn(|vector| unsafe {
                    let place = offset + index * WIDTH + vector * 8;
                    _mm256_loadu_ps(row.values.as_ptr().add(place))
                });
                running =
                    from_fn(|vector| _mm256_fmadd_ps(values[vector], weight, running[vector]));
            }
            for (sums, running) in sums.as_chunks_mut::<8>().0.iter_mut().zip(running) {
                // SAFETY: there are 8 of them.
                unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), running) }
            }
        }
    }
    row.check(sums);
    // SAFETY: the instruction set was detected.
    unsafe { sum(row, sums) }
}
