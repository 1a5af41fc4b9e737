//! The buffers that feature maps share.

use std::ops::Range;

use super::program::{MapId, Step};
use super::vectors::Exit;
use crate::kernels::{CACHE_LINE, Map};

/// Where a map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BufferPart {
    /// The number of its buffer.
    pub buffer: usize,
    /// Which of the buffer's bytes.
    pub bytes: Range<usize>,
}

/// A place for every map but the input, so that no two that are needed at the same time share a buffer, and the buffers'
/// sizes. A map is in the middle of its buffer: of two threads that write a half each, either writes to the same half of
/// the buffer whatever the map's size, which is in its core's cache then and not in the other's.
pub(super) fn plan(
    maps: &[Map],
    steps: &[Step],
    exits: &[(MapId, Exit)],
) -> (Vec<BufferPart>, Vec<usize>) {
    // The last map for which each is read; one that nobody reads is in the way while it is written.
    let mut last_read: Vec<MapId> = (0..maps.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        for id in [Some(step.input), step.other].into_iter().flatten() {
            last_read[id] = index + 1;
        }
    }
    for (id, _) in exits {
        last_read[*id] = usize::MAX;
    }
    let (mut buffers, mut sizes, mut owners) = (vec![], vec![], vec![]);
    for (id, map) in maps.iter().enumerate().skip(1) {
        let free = (0..owners.len()).filter(|&buffer: &usize| last_read[owners[buffer]] < id);
        // The smallest that is large enough, or else the largest, which grows.
        let best = free.min_by_key(|&buffer| {
            let size: usize = sizes[buffer];
            (size < map.bytes(), size.abs_diff(map.bytes()))
        });
        let buffer = best.unwrap_or_else(|| {
            owners.push(id);
            sizes.push(0);
            sizes.len() - 1
        });
        owners[buffer] = id;
        sizes[buffer] = sizes[buffer].max(map.bytes());
        buffers.push(buffer);
    }
    let places = buffers.into_iter().zip(&maps[1..]).map(|(buffer, map)| {
        let start = (sizes[buffer] - map.bytes()) / 2 / CACHE_LINE * CACHE_LINE;
        let bytes = start..start + map.bytes();
        BufferPart { buffer, bytes }
    });
    (places.collect(), sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::program::Task;
    use crate::kernels::Product;

    #[test]
    fn a_map_is_in_the_middle_of_a_buffer_and_none_is_written_over_while_it_is_needed() {
        let sides = [8, 64, 32, 16, 8, 4, 64, 5];
        let maps = sides.map(|side| Map::new([side, side], 32));
        let product = Product {
            zero_points: [0, 0],
            multiplier: 1.0,
            zero_point: 0,
        };
        let others = [None, None, Some(1), None, Some(2), None, Some(4)];
        let steps = others.into_iter().enumerate().map(|(input, other)| Step {
            name: String::new(),
            task: Task::Multiply(product),
            input,
            other,
        });
        let steps: Vec<Step> = steps.collect();
        let (places, sizes) = plan(&maps, &steps, &[]);
        assert!(sizes.len() < places.len(), "nothing is shared");
        for (place, map) in places.iter().zip(&maps[1..]) {
            assert_eq!(place.bytes.len(), map.bytes());
            let middles = [place.bytes.start + place.bytes.end, sizes[place.buffer]];
            assert!(
                middles[0].abs_diff(middles[1]) < 2 * CACHE_LINE,
                "{place:?}"
            );
        }
        for (index, step) in steps.iter().enumerate() {
            for read in [Some(step.input), step.other].into_iter().flatten() {
                let Some(written) = read.checked_sub(1) else {
                    continue;
                };
                let since = places[written + 1..=index].iter();
                let mut since = since.map(|place| place.buffer);
                assert!(since.all(|buffer| buffer != places[written].buffer));
            }
        }
    }
}
