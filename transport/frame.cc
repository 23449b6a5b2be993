#include "transport/frame.h"

#include "base/link.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace joinery::transport {

std::uint32_t FrameDecoder::length() const noexcept {
    const std::uint8_t* prefix = storage_.get() + begin_;
    return std::uint32_t{prefix[0]} << 24U | std::uint32_t{prefix[1]} << 16U |
           std::uint32_t{prefix[2]} << 8U | std::uint32_t{prefix[3]};
}

std::span<std::uint8_t> FrameDecoder::prepare() {
    if (is_between_frames()) {
        clear();
        if (capacity_ > kReceiveKeepMax) {
            storage_.reset();
            capacity_ = 0;
        }
    }
    const std::size_t frame_size = held() < kFramePrefixSize ? 0 : kFramePrefixSize + length();
    const std::size_t wanted = std::max(kReceiveStep, std::min(frame_size, 2 * held()));
    if (wanted > capacity_ || begin_ != 0) move_to(std::max(wanted, capacity_));
    JOINERY_ASSERT(end_ < capacity_);
    return {storage_.get() + end_, capacity_ - end_};
}

void FrameDecoder::move_to(std::size_t capacity) {
    const std::size_t size = held();
    if (capacity == capacity_) {
        std::memmove(storage_.get(), storage_.get() + begin_, size);
    } else {
        auto storage = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
        if (size != 0) std::memcpy(storage.get(), storage_.get() + begin_, size);
        storage_ = std::move(storage);
        capacity_ = capacity;
    }
    begin_ = 0;
    end_ = size;
}

void FrameDecoder::commit(std::size_t size) noexcept {
    JOINERY_ASSERT(size <= capacity_ - end_);
    end_ += size;
}

Result<std::optional<ByteView>> FrameDecoder::next() noexcept {
    if (held() < kFramePrefixSize) return std::optional<ByteView>{};
    const std::size_t size = length();
    if (size > size_max_) {
        return fail(Errc::over_limit,
                    "the other side announced a message longer than is taken from it",
                    offset_);
    }
    if (held() - kFramePrefixSize < size) return std::optional<ByteView>{};
    const ByteView message(storage_.get() + begin_ + kFramePrefixSize, size);
    begin_ += kFramePrefixSize + size;
    offset_ += kFramePrefixSize + size;
    return std::optional<ByteView>(message);
}

void FrameQueue::push(ByteView message) {
    JOINERY_ASSERT(message.size() <= kMessageSizeMax);
    const std::size_t frame_size = kFramePrefixSize + message.size();
    const bool fits =
        !chunks_.empty() && chunks_.back().capacity() - chunks_.back().size() >= frame_size;
    if (!fits) {
        Bytes chunk = std::exchange(spare_, {});
        chunk.reserve(std::max(kSendChunkSize, frame_size));
        chunks_.push_back(std::move(chunk));
    }
    Bytes& chunk = chunks_.back();
    const auto length = static_cast<std::uint32_t>(message.size());
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        chunk.push_back(static_cast<std::uint8_t>(length >> shift));
    }
    chunk.insert(chunk.end(), message.begin(), message.end());
}

std::size_t FrameQueue::gather(std::span<ByteView> out) const noexcept {
    const std::size_t count = std::min(out.size(), chunks_.size());
    for (std::size_t i = 0; i < count; ++i)
        out[i] = chunks_[i];
    if (count != 0) out[0] = out[0].subspan(consumed_);
    return count;
}

void FrameQueue::consume(std::size_t size) noexcept {
    consumed_ += size;
    while (!chunks_.empty() && consumed_ >= chunks_.front().size()) {
        consumed_ -= chunks_.front().size();
        if (chunks_.front().capacity() == kSendChunkSize) {
            spare_ = std::move(chunks_.front());
            spare_.clear();
        }
        chunks_.pop_front();
    }
    JOINERY_ASSERT(!chunks_.empty() || consumed_ == 0);
}

}  // namespace joinery::transport
