//! The chunks of samples in a track (ISO/IEC 14496-12, 8.7.4).

/// An entry of the sample-to-chunk table: consecutive chunks with the same number of samples.
pub(super) struct ChunkRun {
    pub(super) first_sample: u64,
    pub(super) first_chunk: u64,
    pub(super) samples_per_chunk: u64,
    pub(super) description: u32,
}

/// A chunk of samples that are stored one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of the chunk, from 0.
    pub(super) number: u64,
    /// The number of its first sample, from 0, and of the first one after it.
    pub(super) first_sample: u64,
    pub(super) end: u64,
    /// The sample description index.
    pub(super) description: u32,
}

/// Returns the chunk of a sample.
pub(super) fn locate(runs: &[ChunkRun], sample: u64) -> Option<Chunk> {
    let next = runs.partition_point(|run| run.first_sample <= sample);
    let run = runs.get(next.checked_sub(1)?)?;
    runs.get(next)?;
    let nth = (sample - run.first_sample).checked_div(run.samples_per_chunk)?;
    let first_sample = run.first_sample + nth * run.samples_per_chunk;
    Some(Chunk {
        number: run.first_chunk.checked_add(nth)?,
        first_sample,
        end: first_sample.checked_add(run.samples_per_chunk)?,
        description: run.description,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_samples_in_their_chunks() {
        let run = |first_sample, first_chunk, samples_per_chunk| ChunkRun {
            first_sample,
            first_chunk,
            samples_per_chunk,
            description: 1,
        };
        // Two chunks of three samples, one of one, and the sentinel.
        let runs = [run(0, 0, 3), run(6, 2, 1), run(7, 3, 0)];
        let at = |sample| locate(&runs, sample).map(|chunk| (chunk.number, chunk.first_sample, chunk.end));
        let first = Some((0, 0, 3));
        assert_eq!([at(0), at(2), at(3), at(6)], [first, first, Some((1, 3, 6)), Some((2, 6, 7))]);
        assert_eq!([at(7), at(99)], [None, None]);
        assert_eq!(locate(&[run(0, 0, 0), run(0, 1, 0)], 0), None, "a chunk without samples");
    }
}
