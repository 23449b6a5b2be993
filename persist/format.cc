#include "persist/format.h"

#include "base/assert.h"

#include <sodium.h>

#include <algorithm>

namespace joinery::persist::detail {
namespace {

using HashKey = std::array<std::uint8_t, crypto_shorthash_KEYBYTES>;
static_assert(sizeof(HashKey) == crypto_shorthash_siphashx24_BYTES);
static_assert(kChecksumSize == crypto_shorthash_BYTES);

// No secret: the checksum is against accidents. Who can write the file can write the checksum.
constexpr HashKey kRecordKey = {
    'j', 'o', 'i', 'n', 'e', 'r', 'y', ' ', 'r', 'e', 'c', 'o', 'r', 'd', ' ', '1'};
constexpr HashKey kFileKey = {
    'j', 'o', 'i', 'n', 'e', 'r', 'y', ' ', 'f', 'i', 'l', 'e', ' ', ' ', ' ', '1'};

// Table and key become the key of the hash over the value: no copy of the value is needed.
HashKey key_of(std::uint8_t table, ByteView key) {
    std::array<std::uint8_t, 1 + kStoreKeySizeMax> input{};
    JOINERY_ASSERT(key.size() <= kStoreKeySizeMax);
    input[0] = table;
    std::copy(key.begin(), key.end(), input.begin() + 1);
    HashKey out{};
    crypto_shorthash_siphashx24(out.data(), input.data(), 1 + key.size(), kRecordKey.data());
    return out;
}

template <std::size_t N>
void append_big_endian(Bytes& out, std::uint64_t value) {
    for (std::size_t i = N; i-- > 0;)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

template <std::size_t N>
std::uint64_t read_big_endian(ByteView in) {
    JOINERY_ASSERT(in.size() >= N);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < N; ++i)
        value = value << 8U | in[i];
    return value;
}

}  // namespace

void append_u32(Bytes& out, std::uint32_t value) { append_big_endian<4>(out, value); }
void append_u64(Bytes& out, std::uint64_t value) { append_big_endian<8>(out, value); }
std::uint32_t read_u32(ByteView in) { return static_cast<std::uint32_t>(read_big_endian<4>(in)); }
std::uint64_t read_u64(ByteView in) { return read_big_endian<8>(in); }

std::uint64_t file_checksum(ByteView bytes) {
    std::array<std::uint8_t, kChecksumSize> sum{};
    crypto_shorthash(sum.data(), bytes.data(), bytes.size(), kFileKey.data());
    return read_u64(sum);
}

void encode_record(std::uint8_t table, ByteView key, ByteView value, Bytes& out) {
    const HashKey hash_key = key_of(table, key);
    out.resize(kChecksumSize + value.size());
    crypto_shorthash(out.data(), value.data(), value.size(), hash_key.data());
    std::copy(value.begin(), value.end(), out.begin() + kChecksumSize);
}

std::optional<ByteView> decode_record(std::uint8_t table, ByteView key, ByteView stored) {
    if (stored.size() < kChecksumSize || key.size() > kStoreKeySizeMax) return std::nullopt;
    const ByteView value = stored.subspan(kChecksumSize);
    const HashKey hash_key = key_of(table, key);
    std::array<std::uint8_t, kChecksumSize> sum{};
    crypto_shorthash(sum.data(), value.data(), value.size(), hash_key.data());
    if (!std::equal(sum.begin(), sum.end(), stored.begin())) return std::nullopt;
    return value;
}

}  // namespace joinery::persist::detail
