/// @file
/// The subset of msgpack that messages are made of: arrays, unsigned integers, text, byte strings.
/// There is one encoding of each, the shortest; a reader refuses the others.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crdt/cursor.h"

#include <cstdint>
#include <string_view>

namespace joinery::session {

/// Appends to a buffer of the caller's.
class EnvelopeWriter {
  public:
    /// @p out Must outlive the writer; what it holds is kept.
    explicit EnvelopeWriter(Bytes& out) noexcept : out_(out) {}

    /// The head of an array; its @p count values follow.
    void array(std::size_t count);
    void integer(std::uint64_t value);
    void text(std::string_view value);
    void bytes(ByteView value);

  private:
    Bytes& out_;
};

/// Reads untrusted bytes, borrowed for the reader's life. Errors are sticky, as crdt::ByteReader's:
/// after one every read gives zero or nothing.
class EnvelopeReader {
  public:
    explicit EnvelopeReader(ByteView in) noexcept : in_(in) {}

    /// The head of an array; no more values than bytes remain.
    std::size_t array() noexcept;
    std::uint64_t integer() noexcept;
    /// An integer of at most @p max; else `malformed`.
    std::uint64_t integer_at_most(std::uint64_t max) noexcept;
    /// UTF-8 of at most @p size_max bytes, borrowed.
    std::string_view text(std::size_t size_max) noexcept;
    /// At most @p size_max bytes, borrowed.
    ByteView bytes(std::size_t size_max) noexcept;
    /// Whether the next value is text.
    bool is_text() const noexcept;

    /// Fails the reader where it stands, unless it has failed.
    void refuse(Errc code, std::string_view what) noexcept { in_.refuse(code, what); }
    bool ok() const noexcept { return in_.ok(); }
    const Error& error() const noexcept { return in_.error(); }
    /// Success if nothing failed and nothing remains.
    Result<void> finish() const noexcept { return in_.finish(); }

  private:
    std::uint64_t big_endian(unsigned size) noexcept;
    /// A number of @p size bytes, which must be too great for the shorter form that ends at @p
    /// above.
    std::uint64_t number(unsigned size, std::uint64_t above) noexcept;

    crdt::ByteReader in_;
};

}  // namespace joinery::session
