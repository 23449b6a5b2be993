// What lies in a store's directory, byte for byte: what is written now, and what was written once.

#include "engine/records.h"
#include "joinery/json.h"
#include "joinery/peer.h"
#include "joinery/verify.h"
#include "persist/format.h"
#include "persist/identity.h"
#include "persist/lease.h"
#include "support/vectors.h"
#include "tests/persist/support.h"

#include <bit>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

namespace joinery::detail {
namespace {

template <class T>
T filled(std::uint8_t first) {
    T out;
    for (std::size_t i = 0; i < T::kSize; ++i)
        out.bytes[i] = static_cast<std::uint8_t>(first + i);
    return out;
}

TEST(Vectors, TheKeysOfTheEnginesRecordsAreAsEver) {
    const test::Vectors vectors("store-1/keys.hex");
    EXPECT_EQ(vectors.size(), 5U);
    const auto actor = filled<ActorId>(0xa0);
    vectors.expect("document", document_key("ops/main"));
    vectors.expect("segment", segment_key(7, 300));
    vectors.expect("snapshot", snapshot_key(7, 1U << 20U));
    vectors.expect("index", index_key(7, actor, 41));
    vectors.expect("seal", seal_key(7, actor, 42));
    EXPECT_EQ(arrival_of(vectors.at("segment"), 7), 300U);
    EXPECT_EQ(seq_of(vectors.at("seal"), 7, actor), 42U);
}

TEST(Vectors, TheEnginesRecordsAreWrittenAndReadAsEver) {
    const test::Vectors vectors("store-1/records.hex");
    EXPECT_EQ(vectors.size(), 6U);
    vectors.expect("document", encode_record(DocumentRecord{7, 300, 256, 12345}));
    vectors.expect("document", encode_record(*decode_document_record(vectors.at("document"))));
    vectors.expect("arrival", encode_arrival(300));
    EXPECT_EQ(*decode_arrival(vectors.at("arrival")), 300U);
    const crdt::ActorProof proof{filled<DeviceKey>(0x10), filled<Incarnation>(0x20), 3, 300};
    const crdt::ActorProof seed{filled<DeviceKey>(0x10), {}, UINT32_MAX, 0};
    vectors.expect("seal", encode_seal({proof, 42, filled<Signature>(0x30)}));
    vectors.expect("seal-of-seed", encode_seal({seed, 1, filled<Signature>(0x30)}));
    for (const char* name : {"seal", "seal-of-seed"})
        vectors.expect(name, encode_seal(*decode_seal(vectors.at(name))));
    Segment segment;
    segment.change_count = 300;
    segment.chains = {{filled<ActorId>(0xa0), 41, filled<ChangeHash>(0xb0)},
                      {filled<ActorId>(0xc0), 1, filled<ChangeHash>(0xd0)}};
    segment.outer_hashes = {filled<ChangeHash>(0xe0)};
    const Bytes changes{1, 2, 3};
    segment.changes = changes;
    vectors.expect("segment", encode_segment(segment));
    segment.starts_flush = false;
    segment.outer_hashes.clear();
    vectors.expect("segment-continued", encode_segment(segment));
    for (const char* name : {"segment", "segment-continued"}) {
        const Bytes bytes = vectors.at(name);
        vectors.expect(name, encode_segment(*decode_segment(bytes)));
    }
}

}  // namespace
}  // namespace joinery::detail

namespace joinery::persist::detail {
namespace {

using test::read_whole;
using test::TempDir;
using test::write_whole;

TEST(Vectors, ARecordsChecksumIsAsEver) {
    const joinery::test::Vectors vectors("store-1/files.hex");
    Bytes stored;
    encode_record(2, as_bytes("key"), as_bytes("value"), stored);
    vectors.expect("record", stored);
    const Bytes bytes = vectors.at("record");
    const auto value = decode_record(2, as_bytes("key"), bytes);
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(as_text(*value), "value");
}

TEST(Vectors, TheSmallFilesOfAStoreAreWrittenAndReadAsEver) {
    const joinery::test::Vectors vectors("store-1/files.hex");
    EXPECT_EQ(vectors.size(), 5U);
    const TempDir dir;
    const auto file = dir / kSidecarFile;
    const auto expect_sidecar = [&](const char* name, const Sidecar& sidecar) {
        JOINERY_ASSERT_OK(write_sidecar(dir.path(), sidecar));
        vectors.expect(name, as_bytes(read_whole(file)));
        write_whole(file, as_text(vectors.at(name)));
        const auto read = *read_sidecar(dir.path());
        ASSERT_TRUE(read.has_value()) << name;
        EXPECT_EQ(read->counter, sidecar.counter);
        EXPECT_EQ(read->closed, sidecar.closed);
        EXPECT_EQ(read->transaction, sidecar.transaction);
        EXPECT_EQ(read->meta_checksums, sidecar.meta_checksums);
    };
    expect_sidecar("sidecar-open", Sidecar{.counter = 3});
    expect_sidecar("sidecar-closed", Sidecar{3, true, 9, {1, 2}});
    const auto slot = dir / "slots/0.lock";
    {
        auto lease = SlotLease::take(dir / kSlotsDir);
        JOINERY_ASSERT_OK(lease);
        JOINERY_ASSERT_OK(lease->mark_leased(5));
        vectors.expect("slot-leased", as_bytes(read_whole(slot)));
        lease->release();
        vectors.expect("slot-clean", as_bytes(read_whole(slot)));
    }
    for (const bool clean : {false, true}) {
        write_whole(slot, as_text(vectors.at(clean ? "slot-clean" : "slot-leased")));
        const auto lease = SlotLease::take(dir / kSlotsDir);
        JOINERY_ASSERT_OK(lease);
        ASSERT_TRUE(lease->found().has_value());
        EXPECT_EQ(lease->found()->clean, clean);
        EXPECT_EQ(lease->found()->generation, 5U);
    }
}

}  // namespace
}  // namespace joinery::persist::detail

namespace joinery {
namespace {

using persist::test::TempDir;
using persist::test::write_whole;

/// Puts together the file that lines "offset hex" describe; the first line is its size.
std::string sparse_file(const std::string& name) {
    std::ifstream in(JOINERY_VECTORS "/" + name);
    std::size_t size = 0;
    in >> size;
    std::string content(size, '\0');
    std::size_t at = 0;
    std::string hex;
    while (in >> at >> hex) {
        Bytes bytes(hex.size() / 2);
        EXPECT_TRUE(parse_hex(hex, bytes) && at + bytes.size() <= size);
        content.replace(at, bytes.size(), as_text(bytes));
    }
    return content;
}

// LMDB's pages are in the byte order of the machine that wrote them, and of its page size.
TEST(Vectors, ABackupOfFormat1IsWholeAndIsRestored) {
    if (std::endian::native != std::endian::little) GTEST_SKIP() << "the vector is little-endian";
    const TempDir dir;
    std::filesystem::create_directory(dir / "backup");
    write_whole(dir / "backup/data.mdb", sparse_file("store-1/backup.hex"));
    VerifyOptions deep;
    deep.deep = true;
    const auto found = verify_store(dir / "backup", deep);
    JOINERY_ASSERT_OK(found);
    for (const Damage& damage : found->damages)
        ADD_FAILURE() << describe(damage);
    EXPECT_EQ(found->document_count, 2U);
    EXPECT_EQ(found->snapshot_count, 1U);
    JOINERY_ASSERT_OK(restore_store(dir / "backup", dir / "store"));
    auto store = open_store(dir / "store", false);
    JOINERY_ASSERT_OK(store);
    const auto peer = *Peer::open(*std::move(store));
    EXPECT_EQ(*peer->documents(), (std::vector<std::string>{"ops/main", "ops/seeded"}));
    const auto text_of = [&](const char* id) {
        return *print_json(*peer->document(id, false)->read());
    };
    EXPECT_EQ(text_of("ops/main"),
              R"({"panels":[{"id":2,"title":"Memory"},{"id":1,"title":"CPU"}],"visits":5})");
    EXPECT_EQ(text_of("ops/seeded"), R"({"rows":[1,2]})");
    EXPECT_EQ(peer->document("ops/main", false)->log()->size(), 4U);
}

}  // namespace
}  // namespace joinery
