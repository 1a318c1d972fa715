//! Fetching and opening chunks: many at once on the usual way, one by one with all their copies when
//! something is wrong.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::repository::Inner;
use crate::repository::codec::Scratch;
use crate::repository::format::CHUNK_BYTES_MAX;
use crate::repository::format::derive::Domain;
use crate::repository::format::digest::Digest;
use crate::repository::format::extents::Extent;
use crate::repository::format::frame::SessionKey;
use crate::repository::format::wire::Malformed;
use crate::repository::index::Location;
use crate::repository::refresh::pack_key;

/// Bytes between two frames that are fetched rather than skipped by a second request.
const GAP_BYTES: u32 = 32 << 10;

/// A frame, where it goes, and what of it.
#[derive(Debug)]
struct Part {
    id: Digest,
    /// Of the chunk.
    offset: usize,
    length: usize,
    /// In the batch's output.
    at: usize,
    location: Location,
    key: Arc<SessionKey>,
    /// Which range its frame is in, and where.
    range: usize,
    frame_at: usize,
}

/// A stretch of a pack.
#[derive(Debug)]
struct Stretch {
    pack: u32,
    start: u32,
    end: u32,
}

impl Inner {
    /// Reads one batch of extents into one block.
    pub(crate) async fn read_batch(self: &Arc<Self>, extents: Vec<Extent>) -> Result<Bytes> {
        if let Some(block) = self.read_batch_fast(&extents).await? {
            return Ok(block);
        }
        // Something in it is missing or damaged: find out what, and use other copies.
        let mut block = Vec::new();
        for extent in &extents {
            match *extent {
                Extent::Zeros { length } => block.resize(block.len() + length as usize, 0),
                Extent::Chunk { id, offset, length } => {
                    let chunk = self.read_chunk(&id).await?;
                    let end = offset as usize + length as usize;
                    let part = chunk.get(offset as usize..end).ok_or_else(|| short(&id))?;
                    block.extend_from_slice(part);
                }
            }
        }
        Ok(Bytes::from(block))
    }

    /// `None` when any part of it did not work out.
    async fn read_batch_fast(self: &Arc<Self>, extents: &[Extent]) -> Result<Option<Bytes>> {
        let Some((mut parts, total)) = self.plan(extents)? else {
            return Ok(None);
        };
        let stretches = coalesce(&mut parts);
        let mut ranges = Vec::with_capacity(stretches.len());
        for stretch in &stretches {
            let Some(pack) = self.index.pack(stretch.pack) else {
                return Ok(None);
            };
            let range = u64::from(stretch.start)..u64::from(stretch.end);
            match self.storage.get(&pack_key(&pack.name), Some(range)).await {
                Ok(bytes) => ranges.push(bytes),
                // The slow way tells why.
                Err(_) => return Ok(None),
            }
        }
        let domain = self.keys.domain.clone();
        let opened = self
            .cpu
            .run(move |scratch| open_parts(scratch, &domain, &parts, &ranges, total))
            .await?;
        Ok(opened.ok().map(Bytes::from))
    }

    /// Where everything is; `None` when a chunk is not known or shorter than is asked of it.
    fn plan(&self, extents: &[Extent]) -> Result<Option<(Vec<Part>, usize)>> {
        let mut parts = Vec::with_capacity(extents.len());
        let mut at = 0;
        for extent in extents {
            let length = extent.length_bytes() as usize;
            if let Extent::Chunk { id, offset, .. } = *extent {
                let Some(location) = self.index.locate(&id, &HashSet::new())? else {
                    return Ok(None);
                };
                if offset as usize + length > location.raw_bytes as usize {
                    return Ok(None);
                }
                parts.push(Part {
                    id,
                    offset: offset as usize,
                    length,
                    at,
                    key: self.session_key(location.session)?,
                    location,
                    range: 0,
                    frame_at: 0,
                });
            }
            at += length;
        }
        Ok(Some((parts, at)))
    }

    /// One chunk, from whichever copy is sound; reloads the index once when all are missing.
    pub(crate) async fn read_chunk(self: &Arc<Self>, id: &Digest) -> Result<Bytes> {
        let mut reloaded = false;
        loop {
            let mut trouble = None;
            for location in self.index.locate_all(id)? {
                match self.read_copy(id, &location).await {
                    Ok(chunk) => return Ok(chunk),
                    Err(error) => trouble = Some(error),
                }
            }
            let gone = trouble
                .as_ref()
                .is_none_or(|error| error.code() == Code::RepositoryMissing);
            if gone && !reloaded {
                reloaded = true;
                self.refresh().await?;
                continue;
            }
            return Err(trouble.unwrap_or_else(|| {
                Error::new(
                    Code::RepositoryMissing,
                    format!("Chunk {id} is in no pack that the index knows"),
                )
                .hint("Run `repository check`; `repository repair` rebuilds a damaged index")
            }));
        }
    }

    /// One copy of a chunk; errors name chunk and pack.
    pub(crate) async fn read_copy(
        self: &Arc<Self>,
        id: &Digest,
        location: &Location,
    ) -> Result<Bytes> {
        let pack = self.index.pack(location.pack);
        let pack = pack.ok_or_else(|| Error::internal("The chunk index names no pack"))?;
        let pack_key = pack_key(&pack.name);
        let context = format!("Chunk {id} in {pack_key}");
        let start = u64::from(location.offset);
        let range = start..start + u64::from(location.stored_bytes);
        let frame = self.storage.get(&pack_key, Some(range)).await;
        let frame = frame.map_err(|error| Error::from(error).context(&context))?;
        let key = self.session_key(location.session)?;
        let (id, location, inner) = (*id, *location, Arc::clone(self));
        let opened = self
            .cpu
            .run(move |scratch| {
                let mut chunk = vec![0; location.raw_bytes as usize];
                open_whole(
                    scratch,
                    &inner.keys.domain,
                    &key,
                    (&id, &location),
                    &frame,
                    &mut chunk,
                )
                .map(|()| chunk)
            })
            .await?;
        match opened {
            Ok(chunk) => Ok(Bytes::from(chunk)),
            Err(cause) => Err(Error::from(cause).context(context)),
        }
    }
}

fn short(id: &Digest) -> Error {
    Error::new(
        Code::RepositoryCorrupt,
        format!("Chunk {id} is shorter than an extent list says"),
    )
}

/// Gathers frames that lie close together; parts learn where their frame will be.
fn coalesce(parts: &mut [Part]) -> Vec<Stretch> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_unstable_by_key(|place| {
        let location = &parts[*place].location;
        (location.pack, location.offset)
    });
    let mut stretches: Vec<Stretch> = Vec::new();
    for place in order {
        let part = &mut parts[place];
        let location = part.location;
        let end = location.offset + location.stored_bytes;
        match stretches.last_mut() {
            Some(last)
                if last.pack == location.pack
                    && location.offset <= last.end.saturating_add(GAP_BYTES) =>
            {
                last.end = last.end.max(end);
            }
            _ => stretches.push(Stretch {
                pack: location.pack,
                start: location.offset,
                end,
            }),
        }
        part.range = stretches.len() - 1;
        part.frame_at = (location.offset - stretches[part.range].start) as usize;
    }
    stretches
}

fn open_parts(
    scratch: &mut Scratch,
    domain: &Domain,
    parts: &[Part],
    ranges: &[Bytes],
    total: usize,
) -> Result<Vec<u8>, Malformed> {
    let mut out = vec![0; total];
    let mut whole = Vec::new();
    for part in parts {
        let short = Malformed("a frame is not where the index says");
        let frame = ranges
            .get(part.range)
            .and_then(|range| {
                let end = part.frame_at + part.location.stored_bytes as usize;
                range.get(part.frame_at..end)
            })
            .ok_or(short)?;
        let into = out.get_mut(part.at..part.at + part.length).ok_or(short)?;
        let chunk = (&part.id, &part.location);
        if part.length == part.location.raw_bytes as usize {
            open_whole(scratch, domain, &part.key, chunk, frame, into)?;
        } else {
            whole.resize(part.location.raw_bytes as usize, 0);
            open_whole(scratch, domain, &part.key, chunk, frame, &mut whole)?;
            into.copy_from_slice(&whole[part.offset..part.offset + part.length]);
        }
    }
    Ok(out)
}

/// Opens a frame and proves that it is the chunk.
fn open_whole(
    scratch: &mut Scratch,
    domain: &Domain,
    key: &SessionKey,
    (id, location): (&Digest, &Location),
    frame: &[u8],
    out: &mut [u8],
) -> Result<(), Malformed> {
    if out.len() > CHUNK_BYTES_MAX {
        return Err(Malformed("a chunk is longer than any chunk may be"));
    }
    scratch.open(key, (id, location.codec), frame, out)?;
    if domain.chunk_id(out) == *id {
        Ok(())
    } else {
        Err(Malformed("a chunk does not have its id"))
    }
}
