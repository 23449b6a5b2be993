/// @file
/// A small store with a bit of everything, to be damaged record by record and checked.
#pragma once

#include "engine/history.h"
#include "joinery/verify.h"
#include "tests/engine/core_rig.h"
#include "tests/persist/support.h"

#include <string>
#include <utility>
#include <vector>

namespace joinery::detail {

/// The store, in memory or in LMDB. Document d (number 1) is of actor A, this store's, and of B,
/// who sent two changes:
///
///     #1      A@1                 first flush
///     #2..#4  A@2, B@1, B@2       second flush, then a snapshot
///     #5      A@3                 third flush; depends on B@2
///     #6      A@4                 fourth flush
///
/// Document e (number 2) has one change of A.
class VerifyTest : public CoreTest, public testing::WithParamInterface<const char*> {
  protected:
    static constexpr DocumentNumber kD = 1, kE = 2;

    void SetUp() override {
        const auto author = open(other_disk_);
        b_ = author->author().actor;
        const auto core = open_on(open_store());
        a_ = core->author().actor;
        set(*core, "/a", 1);
        ASSERT_TRUE(core->commit().has_value());
        set(*author, "/from", 1);
        set(*author, "/from", 2);
        ASSERT_TRUE(author->commit().has_value());
        set(*core, "/b", 2);
        send(*author, *core);
        ASSERT_TRUE(core->commit().has_value());
        ASSERT_EQ(*core->make_snapshots(4), 1U);
        set(*core, "/c", 3);
        ASSERT_TRUE(core->commit().has_value());
        set(*core, "/d", 4);
        ASSERT_TRUE(core->commit().has_value());
        const auto second = core->open_document("e", true);
        ASSERT_TRUE((*second)
                        ->transact([](Tx& tx) { return tx.set("/x", Value(std::int64_t{1})); }, "")
                        .has_value());
        ASSERT_TRUE(core->commit().has_value());
    }

    bool is_lmdb() const { return std::string_view(GetParam()) == "lmdb"; }
    std::unique_ptr<Store> open_store() {
        auto store = is_lmdb() ? persist::open_lmdb_store(
                                     dir_ / "store", persist::test::test_options(), random_)
                               : persist::open_memory_store(disk_, random_);
        EXPECT_TRUE(store.has_value());
        return *std::move(store);
    }

    // Changes records; the store puts the right checksum before each.
    void put(Table table, const Bytes& key, const Bytes& value) {
        const auto store = open_store();
        const auto writer = *store->write();
        ASSERT_TRUE(writer->put(table, key, value).has_value());
        ASSERT_TRUE(writer->commit().has_value());
    }
    void erase(Table table, const Bytes& key) {
        const auto store = open_store();
        const auto writer = *store->write();
        ASSERT_TRUE(writer->get(table, key)->has_value()) << "nothing to erase";
        ASSERT_TRUE(writer->erase(table, key).has_value());
        ASSERT_TRUE(writer->commit().has_value());
    }
    Bytes get(Table table, const Bytes& key) {
        const auto store = open_store();
        const auto reader = *store->read();
        const auto value = *reader->get(table, key);
        EXPECT_TRUE(value.has_value()) << "no such record";
        return value ? Bytes(value->begin(), value->end()) : Bytes();
    }
    std::vector<std::pair<Bytes, Bytes>> records(Table table) {
        const auto store = open_store();
        const auto model = persist::test::scan(*store, table);
        std::vector<std::pair<Bytes, Bytes>> out;
        for (const auto& [key, value] : *model) {
            const ByteView k = as_bytes(key), v = as_bytes(value);
            out.emplace_back(Bytes(k.begin(), k.end()), Bytes(v.begin(), v.end()));
        }
        return out;
    }
    /// Puts back the segment at @p arrival of document d after @p edit.
    void edit_segment(std::uint64_t arrival,
                      const std::function<void(Segment&, crdt::Names&, crdt::Batch&)>& edit) {
        const Bytes key = segment_key(kD, arrival);
        const Bytes bytes = get(Table::log, key);
        crdt::Names names;
        auto segment = decode_stored_segment({key, bytes}, kD, names);
        ASSERT_TRUE(segment.has_value());
        edit(segment->record, names, segment->batch);
        Bytes changes;
        crdt::EncoderDictionary dictionary;
        crdt::encode_changes(
            names, segment->batch, 0, segment->batch.changes.size(), dictionary, changes);
        segment->record.changes = changes;
        put(Table::log, key, encode_segment(segment->record));
    }
    void edit_record(const std::function<void(DocumentRecord&)>& edit) {
        auto record = *decode_document_record(get(Table::documents, document_key("d")));
        edit(record);
        put(Table::documents, document_key("d"), encode_record(record));
    }
    void edit_seal(const ActorId& actor,
                   std::uint64_t seq,
                   const std::function<void(crdt::Seal&)>& edit) {
        const Bytes key = seal_key(kD, actor, seq);
        auto seal = *decode_seal(get(Table::seals, key));
        edit(seal);
        put(Table::seals, key, encode_seal(seal));
    }

    VerifyReport verify(const VerifyOptions& options = {}) {
        const auto store = open_store();
        const auto report = verify_store(*store, options);
        EXPECT_TRUE(report.has_value()) << report.error().what;
        return *report;
    }
    static VerifyOptions deep() {
        VerifyOptions options;
        options.deep = true;
        return options;
    }
    /// What is found, without remedies; the actors are called A and B.
    std::vector<std::string> found(const VerifyOptions& options = {}) {
        const VerifyReport report = verify(options);
        EXPECT_EQ(report.damage_count, report.damages.size());
        std::vector<std::string> lines;
        for (const Damage& damage : report.damages) {
            EXPECT_FALSE(damage.remedy.empty());
            std::string line = describe(damage);
            EXPECT_TRUE(line.ends_with("; " + damage.remedy));
            line.resize(line.size() - damage.remedy.size() - 2);
            for (const auto& [actor, name] : {std::pair(a_, "A"), std::pair(b_, "B")}) {
                const std::string hex = to_hex(actor.view());
                for (std::size_t at = 0; (at = line.find(hex)) != std::string::npos;)
                    line.replace(at, hex.size(), name);
            }
            lines.push_back(line);
        }
        return lines;
    }
    using Lines = std::vector<std::string>;

    persist::test::TempDir dir_;
    ActorId a_, b_;
};

}  // namespace joinery::detail
