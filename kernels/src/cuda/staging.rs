//! Copies to a device beside its work: through pinned memory, on a stream of their own.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice, result};

use super::gpu::Fill;

/// Pieces that are made and copied at the same time.
const N_PIECES: usize = 4;
/// Bytes of a piece: long enough for the full speed of a copy, short enough that the first begins soon.
const PIECE_BYTES: usize = 4 << 20;

/// Pinned memory, and the stream of the copies from it. The memory is kept for the next ones.
#[derive(Debug)]
pub(super) struct Staging {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// At most [`N_PIECES`], used in turn.
    pieces: Vec<Piece>,
    next: usize,
}

#[derive(Debug)]
struct Piece {
    memory: PinnedHostSlice<u8>,
    /// The last copy from it.
    copied: CudaEvent,
}

impl Piece {
    fn new(context: &Arc<CudaContext>, bytes: usize) -> Result<Self, DriverError> {
        // SAFETY: any bytes are bytes, whatever they are before they are written.
        let memory = unsafe { context.alloc_pinned_with_flags(bytes, 0)? };
        Ok(Self {
            memory,
            copied: context.new_event(None)?,
        })
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The memory is given back next. Where this fails, or an event could not be recorded after a copy, the context is
        // lost, and nothing reads it any more.
        let _ = self.copied.synchronize();
    }
}

impl Staging {
    /// No memory yet.
    ///
    /// # Errors
    /// What the driver refuses.
    pub(super) fn new(context: &Arc<CudaContext>) -> Result<Self, DriverError> {
        Ok(Self {
            context: Arc::clone(context),
            stream: context.new_stream()?,
            pieces: Vec::new(),
            next: 0,
        })
    }

    /// The next piece, of `bytes` bytes at least, once it may be written.
    fn piece(&mut self, bytes: usize) -> Result<&mut Piece, DriverError> {
        if self.pieces.len() < N_PIECES {
            self.pieces.push(Piece::new(&self.context, bytes)?);
            return Ok(self.pieces.last_mut().expect("one was just added"));
        }
        let piece = &mut self.pieces[self.next];
        self.next = (self.next + 1) % N_PIECES;
        piece.copied.synchronize()?;
        if piece.memory.len() < bytes {
            *piece = Piece::new(&self.context, bytes)?;
        }
        Ok(piece)
    }

    /// As `Gpu::upload` says; `main` is the stream of all other work.
    ///
    /// # Safety
    /// As for `Gpu::upload`; everything but copies of this kind is on `main`.
    ///
    /// # Errors
    /// What the driver refuses.
    pub(super) unsafe fn copy(
        &mut self,
        main: &CudaStream,
        after: &CudaEvent,
        address: u64,
        bytes: usize,
        unit: usize,
        fill: Fill<'_>,
    ) -> Result<(), DriverError> {
        self.stream.wait(after)?;
        let stream = Arc::clone(&self.stream);
        let at_once = (PIECE_BYTES / unit).max(1) * unit;
        for at in (0..bytes).step_by(at_once) {
            let piece = self.piece(PIECE_BYTES.max(unit))?;
            let memory = &mut piece.memory.as_mut_slice()?[..at_once.min(bytes - at)];
            fill(at, memory);
            // SAFETY: the bytes there are the caller's; the piece is not written before the event that is recorded next.
            unsafe { result::memcpy_htod_async(address + at as u64, memory, stream.cu_stream())? };
            piece.copied.record(&stream)?;
            // For each, so that nothing frees the memory under a copy, even if `fill` panics.
            main.wait(&piece.copied)?;
        }
        Ok(())
    }
}
