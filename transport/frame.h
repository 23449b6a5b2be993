/// @file
/// Messages as frames of a byte stream, without I/O: each is a u32 length, big-endian, then so many
/// bytes. Any length from 0 to kMessageSizeMax is a message. See docs/wire-format.md, "Framing".
#pragma once

#include "base/bytes.h"
#include "base/link.h"
#include "base/result.h"
#include "transport/send_limit.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>

namespace joinery::transport {

/// Size of the length before each message, in bytes.
inline constexpr std::size_t kFramePrefixSize = 4;
static_assert(kFramePrefixSize == kMessageOverhead);

/// What a decoder allocates at once before it has seen bytes that fill it, in bytes.
inline constexpr std::size_t kReceiveStep = 64U << 10U;
/// Largest buffer that a decoder keeps while it waits between frames, in bytes.
inline constexpr std::size_t kReceiveKeepMax = 1U << 20U;
/// Small messages share buffers of this size on the way out, in bytes.
inline constexpr std::size_t kSendChunkSize = 16U << 10U;

/// Cuts a stream of untrusted bytes into messages. Use: prepare(), fill, commit(), then next()
/// until it has no more.
///
/// Memory: the buffer grows to no more than the greater of kReceiveStep and twice the bytes of the
/// current frame that have arrived, so that a length alone claims nothing; between frames it
/// keeps at most kReceiveKeepMax.
class FrameDecoder {
  public:
    /// Room for the next bytes of the stream, never empty. Only after next() had no more; ends
    /// the life of the view that it gave.
    std::span<std::uint8_t> prepare();
    /// Says that the first @p size bytes of the room were filled.
    void commit(std::size_t size) noexcept;
    /// The next whole message, valid until prepare(); nothing if more bytes are needed.
    /// `over_limit` for a length above the limit, `at` = offset of the frame in the stream;
    /// the stream is then of no more use.
    Result<std::optional<ByteView>> next() noexcept;
    /// Refuses messages of more than @p size_max bytes, at most kMessageSizeMax, from now on.
    void set_size_max(std::size_t size_max) noexcept {
        size_max_ = std::min(size_max, kMessageSizeMax);
    }
    /// Forgets what was committed; views stay valid until prepare().
    void clear() noexcept { begin_ = end_ = 0; }

    /// Whether no byte of an unfinished frame is held: the stream may end here.
    bool is_between_frames() const noexcept { return begin_ == end_; }
    /// Bytes allocated.
    std::size_t capacity() const noexcept { return capacity_; }

  private:
    std::size_t held() const noexcept { return end_ - begin_; }
    std::uint32_t length() const noexcept;
    void move_to(std::size_t capacity);

    // The stream's bytes [begin_, end_) are committed and not yet given out.
    std::unique_ptr<std::uint8_t[]> storage_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t size_max_ = kMessageSizeMax;
    std::uint64_t offset_ = 0;  // of storage_[begin_] in the stream
};

/// Frames waiting to be written. Small ones are packed into shared chunks, so that one gather
/// write of few buffers carries many.
class FrameQueue {
  public:
    /// Appends the frame of @p message (at most kMessageSizeMax bytes), copied. Views from
    /// gather() stay valid.
    void push(ByteView message);
    /// Fills @p out with the front bytes in order; returns how many views it used. They are valid
    /// until consume().
    std::size_t gather(std::span<ByteView> out) const noexcept;
    /// Removes @p size bytes from the front, at most as many as gather() showed.
    void consume(std::size_t size) noexcept;
    bool is_empty() const noexcept { return chunks_.empty(); }

  private:
    std::deque<Bytes> chunks_;  // none is empty; none ever grows beyond its capacity
    std::size_t consumed_ = 0;  // bytes of chunks_.front() already written
    Bytes spare_;               // an emptied chunk, kept to save an allocation
};

}  // namespace joinery::transport
