// What verify_store() says of every kind of record, damaged in every way that a checksum does not
// show: each is put back with the right checksum.

#include "crdt/cursor.h"
#include "crdt/snapshot.h"
#include "engine/history.h"
#include "tests/engine/verify_rig.h"

#include <algorithm>
#include <set>

namespace joinery::detail {
namespace {

INSTANTIATE_TEST_SUITE_P(Stores,
                         VerifyTest,
                         testing::Values("memory", "lmdb"),
                         [](const auto& store) { return std::string(store.param); });

TEST_P(VerifyTest, AWholeStoreIsCountedAndNothingIsFound) {
    EXPECT_EQ(found(), Lines{});
    const VerifyReport report = verify();
    EXPECT_TRUE(report.is_sound());
    EXPECT_EQ(report.document_count, 2U);
    EXPECT_EQ(report.change_count, 7U);
    EXPECT_EQ(report.replayed_count, 7U);
    EXPECT_EQ(report.index_count, 6U);
    EXPECT_EQ(report.seal_count, 6U);
    EXPECT_EQ(report.verified_seal_count, 3U);  // The newest of A and B in d, of A in e.
    EXPECT_EQ(report.snapshot_count, 1U);
    EXPECT_EQ(verify(deep()).verified_seal_count, 6U);
    std::size_t records_in_all = 0;
    for (std::size_t table = 0; table < kTableCount; ++table)
        records_in_all += records(static_cast<Table>(table)).size();
    EXPECT_EQ(report.record_count, records_in_all);
}

TEST_P(VerifyTest, OneDocumentIsCheckedAlone) {
    erase(Table::log, segment_key(kD, 4));
    VerifyOptions options;
    options.document = "e";
    EXPECT_EQ(found(options), Lines{});
    EXPECT_EQ(verify(options).document_count, 1U);
    options.document = "d";
    EXPECT_EQ(found(options), Lines{"log of d at #5: the change is missing"});
    for (const char* id : {"f", "", "dd"}) {
        options.document = id;
        const auto store = open_store();
        const auto report = verify_store(*store, options);
        EXPECT_EQ(report.has_value(), options.document.empty());
        EXPECT_EQ(persist::test::code_of(report), report ? "success" : "not found");
    }
}

TEST_P(VerifyTest, ProgressEndsWithAllChanges) {
    std::vector<std::uint64_t> done;
    VerifyOptions options;
    options.progress = [&](const VerifyProgress& progress) {
        EXPECT_EQ(progress.change_count, 7U);
        done.push_back(progress.done_count);
    };
    verify(options);
    EXPECT_EQ(done, (std::vector<std::uint64_t>{1, 4, 5, 6, 7}));
}

TEST_P(VerifyTest, FindingsBeyondTheMostThatAreKeptAreCounted) {
    erase(Table::index, index_key(kD, a_, 1));
    erase(Table::index, index_key(kD, a_, 2));
    erase(Table::index, index_key(kE, a_, 1));
    VerifyOptions options;
    options.damage_max = 2;
    const VerifyReport report = verify(options);
    EXPECT_EQ(report.damage_count, 3U);
    EXPECT_EQ(report.damages.size(), 2U);
    EXPECT_FALSE(report.is_sound());
}

// --- Log -----------------------------------------------------------------------------------------

TEST_P(VerifyTest, AMissingSegmentIsNamedAndWhatFollowsIsCheckedAllTheSame) {
    erase(Table::log, segment_key(kD, 1));
    EXPECT_EQ(found(deep()), Lines{"log of d at #2: 3 changes are missing, to #4"});
    const VerifyReport report = verify();
    EXPECT_EQ(report.change_count, 4U);
    EXPECT_EQ(report.replayed_count, 2U);  // One of d, one of e.
    EXPECT_EQ(report.document_count, 2U);
    erase(Table::seals, seal_key(kD, a_, 3));
    EXPECT_EQ(
        found(),
        (Lines{"log of d at #2: 3 changes are missing, to #4",
               "seals of d at A@3: it is missing, so that peers refuse the changes up to it"}));
}

TEST_P(VerifyTest, AMissingEndOfTheLogIsNamed) {
    erase(Table::log, segment_key(kD, 5));
    EXPECT_EQ(found(), Lines{"log of d at #6: the change is missing"});
}

TEST_P(VerifyTest, ASegmentBehindTheEndIsNamed) {
    put(Table::log, segment_key(kD, 6), get(Table::log, segment_key(kD, 5)));
    EXPECT_EQ(found(),
              Lines{"log of d at #7: a segment lies behind the last change that the document "
                    "counts"});
}

TEST_P(VerifyTest, ASegmentOverAnotherIsNamed) {
    put(Table::log, segment_key(kD, 2), get(Table::log, segment_key(kD, 4)));
    EXPECT_EQ(found(), Lines{"log of d at #3: the segment overlaps the one before it"});
}

TEST_P(VerifyTest, ARecordUnderNoSegmentsKeyIsNamed) {
    put(Table::log, {0, 0, 0, 1, 7}, {1});
    EXPECT_EQ(found(), Lines{"log of d: a record's key is no segment's"});
}

TEST_P(VerifyTest, SwappedSegmentsAreNamed) {
    const Bytes fifth = get(Table::log, segment_key(kD, 4));
    const Bytes sixth = get(Table::log, segment_key(kD, 5));
    put(Table::log, segment_key(kD, 4), sixth);
    put(Table::log, segment_key(kD, 5), fifth);
    EXPECT_EQ(found(),
              (Lines{"log of d at A@4: change whose predecessor is missing, so that replay ends "
                     "here",
                     "log of d at A@3: the change comes behind a later one of its actor, or twice",
                     "index of d at A@3: no segment of the log goes on there",
                     "index of d at A@4: it leads to #6, but the change came as #5",
                     "seals of d at A@3: the log has no such change"}));
}

TEST_P(VerifyTest, AnotherDocumentsSegmentIsNamed) {
    put(Table::log, segment_key(kD, 0), get(Table::log, segment_key(kE, 0)));
    const Lines lines = found();
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines.front(),
              "log of d at A@1: the hash that its segment gives for a change before it is not that "
              "change's");
}

TEST_P(VerifyTest, AnotherValueInAnOperationIsNoticedByTheHashes) {
    edit_segment(0, [](Segment&, crdt::Names&, crdt::Batch& batch) {
        batch.ops.front().value = Value(std::int64_t{7});
    });
    const Lines expected{
        "log of d at A@2: the hash that its segment gives for a change before it is not that "
        "change's",
        "snapshots of d at #4: its state is not what replaying the log gives"};
    EXPECT_EQ(found(), expected);
    // The newest seal vouches for what the segments claim; the old one shows where it went wrong.
    Lines all = expected;
    all.push_back(
        "seals of d at A@1: the signature is not its device's over the hash of that "
        "change");
    EXPECT_EQ(found(deep()), all);
}

TEST_P(VerifyTest, AnotherValueInTheLastChangeIsNoticedByItsSeal) {
    edit_segment(5, [](Segment&, crdt::Names&, crdt::Batch& batch) {
        batch.ops.front().value = Value(std::int64_t{7});
    });
    EXPECT_EQ(found(),
              Lines{"seals of d at A@4: the signature is not its device's over the hash of that "
                    "change"});
}

TEST_P(VerifyTest, WrongHashesBeforeASegmentAreNamed) {
    edit_segment(5, [](Segment& segment, crdt::Names&, crdt::Batch&) {
        segment.chains.front().previous.bytes[3] ^= 1U;
    });
    EXPECT_EQ(found().front(),
              "log of d at A@4: the hash that its segment gives for a change before it is not that "
              "change's");
}

TEST_P(VerifyTest, AWrongHashOfADependencyIsNamed) {
    edit_segment(4, [](Segment& segment, crdt::Names&, crdt::Batch&) {
        ASSERT_EQ(segment.outer_hashes.size(), 1U);
        segment.outer_hashes.front().bytes[3] ^= 1U;
    });
    EXPECT_EQ(found().front(),
              "log of d at A@3: the hash that its segment gives for a change before it is not that "
              "change's");
}

TEST_P(VerifyTest, HashesTooManyOrTooFewAreNamed) {
    edit_segment(4, [](Segment& segment, crdt::Names&, crdt::Batch&) {
        segment.outer_hashes.push_back(segment.outer_hashes.front());
    });
    EXPECT_EQ(
        found(),
        Lines{"log of d at #5: segment of the log has hashes that none of its changes needs"});
    edit_segment(
        4, [](Segment& segment, crdt::Names&, crdt::Batch&) { segment.outer_hashes.clear(); });
    EXPECT_EQ(found(), Lines{"log of d at #5: segment of the log lacks a hash"});
}

TEST_P(VerifyTest, ASegmentThatDoesNotDecodeIsNamed) {
    const Bytes key = segment_key(kD, 4);
    const Bytes sound = get(Table::log, key);
    Bytes cut = sound;
    cut.pop_back();
    put(Table::log, key, cut);
    EXPECT_EQ(found(), Lines{"log of d at #5: changes of the log are damaged"});
    put(Table::log, key, {1, 1, 1});
    EXPECT_EQ(found(), Lines{"log of d at #5: segment of the log is damaged"});
    edit_segment(0, [](Segment& segment, crdt::Names&, crdt::Batch&) { segment.change_count = 2; });
    EXPECT_EQ(found().front(), "log of d at #1: segment of the log has another number of changes");
}

TEST_P(VerifyTest, ARecordOfANewerProgramIsNotCalledDamaged) {
    Bytes newer = get(Table::log, segment_key(kD, 4));
    newer.front() = 2;
    put(Table::log, segment_key(kD, 4), newer);
    const VerifyReport report = verify();
    ASSERT_EQ(report.damages.size(), 1U);
    EXPECT_EQ(report.damages.front().what, "record of a newer Joinery; update this program");
    EXPECT_EQ(report.damages.front().remedy, "update this program and check again");
}

TEST_P(VerifyTest, AChangeThatBreaksTheRulesIsNamed) {
    // Beside an element that nobody inserted (rule C7).
    edit_segment(5, [](Segment&, crdt::Names& names, crdt::Batch& batch) {
        crdt::Op& op = batch.ops.front();
        const auto list =
            names.intern_container(crdt::kRoot, names.intern_key("l"), crdt::Kind::list);
        op.container = list;
        op.key = names.intern_element(list, crdt::Dot{batch.changes.front().chain, 1});
    });
    const Lines lines = found();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_TRUE(lines[0].starts_with("log of d at A@4: ")) << lines[0];
    EXPECT_TRUE(lines[0].ends_with(", so that replay ends here")) << lines[0];
    EXPECT_TRUE(lines[1].starts_with("documents of d: it counts ")) << lines[1];
    EXPECT_EQ(lines[2],
              "seals of d at A@4: the signature is not its device's over the hash of that change");
}

TEST_P(VerifyTest, FlushesThatRunIntoEachOtherLeaveASealOver) {
    edit_segment(
        4, [](Segment& segment, crdt::Names&, crdt::Batch&) { segment.starts_flush = false; });
    EXPECT_EQ(found(), Lines{"seals of d at A@2: no flush of the log ends there"});
}

// --- Index ---------------------------------------------------------------------------------------

TEST_P(VerifyTest, AMissingIndexRecordIsNamed) {
    erase(Table::index, index_key(kD, a_, 3));
    erase(Table::index, index_key(kD, b_, 1));
    Lines lines = found();
    std::ranges::sort(lines);
    EXPECT_EQ(lines,
              (Lines{"index of d at A@3: it is missing", "index of d at B@1: it is missing"}));
}

TEST_P(VerifyTest, AWrongIndexRecordIsNamed) {
    put(Table::index, index_key(kD, a_, 3), encode_arrival(0));
    EXPECT_EQ(found(), Lines{"index of d at A@3: it leads to #1, but the change came as #5"});
    put(Table::index, index_key(kD, a_, 3), {});
    EXPECT_EQ(found(), Lines{"index of d at A@3: input ended early"});
}

TEST_P(VerifyTest, AnIndexRecordTooManyIsNamed) {
    put(Table::index, index_key(kD, a_, 9), encode_arrival(4));
    EXPECT_EQ(found(), Lines{"index of d at A@9: no segment of the log goes on there"});
    erase(Table::index, index_key(kD, a_, 9));
    put(Table::index, {0, 0, 0, 1, 7}, encode_arrival(4));
    EXPECT_EQ(found(), Lines{"index of d: a record's key is not of its form"});
}

// --- Seals ---------------------------------------------------------------------------------------

TEST_P(VerifyTest, AMissingSealIsNamed) {
    erase(Table::seals, seal_key(kD, a_, 2));
    EXPECT_EQ(found(),
              Lines{"seals of d at A@2: it is missing, so that peers refuse the changes up to it"});
}

TEST_P(VerifyTest, AForgedSealIsNamedTheNewestAlwaysAnOldOneByTheDeepCheck) {
    const auto forge = [](crdt::Seal& seal) { seal.signature.bytes[5] ^= 1U; };
    edit_seal(a_, 2, forge);
    EXPECT_EQ(found(), Lines{});
    EXPECT_EQ(found(deep()),
              Lines{"seals of d at A@2: the signature is not its device's over the hash of that "
                    "change"});
    edit_seal(a_, 2, forge);  // Back again.
    edit_seal(b_, 2, forge);
    EXPECT_EQ(found(),
              Lines{"seals of d at B@2: the signature is not its device's over the hash of that "
                    "change"});
}

TEST_P(VerifyTest, ASealByAnotherDeviceIsNamed) {
    const crdt::Seal other = *decode_seal(get(Table::seals, seal_key(kD, b_, 2)));
    edit_seal(a_, 4, [&](crdt::Seal& seal) { seal.proof = other.proof; });
    EXPECT_EQ(found(), Lines{"seals of d at A@4: it is another change's"});
}

TEST_P(VerifyTest, ASealUnderAnotherKeyIsNamed) {
    put(Table::seals, seal_key(kD, a_, 3), get(Table::seals, seal_key(kD, a_, 2)));
    EXPECT_EQ(found(), Lines{"seals of d at A@3: it is another change's"});
}

TEST_P(VerifyTest, ASealOfNoChangeOrWithinAFlushIsNamed) {
    edit_seal(b_, 2, [&](crdt::Seal& seal) { seal.seq = 1; });
    put(Table::seals, seal_key(kD, b_, 1), get(Table::seals, seal_key(kD, b_, 2)));
    edit_seal(b_, 2, [&](crdt::Seal& seal) { seal.seq = 2; });
    EXPECT_EQ(found(), Lines{"seals of d at B@1: no flush of the log ends there"});
    erase(Table::seals, seal_key(kD, b_, 1));
    edit_seal(a_, 4, [&](crdt::Seal& seal) { seal.seq = 9; });
    put(Table::seals, seal_key(kD, a_, 9), get(Table::seals, seal_key(kD, a_, 4)));
    edit_seal(a_, 4, [&](crdt::Seal& seal) { seal.seq = 4; });
    EXPECT_EQ(found(), Lines{"seals of d at A@9: the log has no such change"});
}

TEST_P(VerifyTest, ASealThatDoesNotDecodeIsNamed) {
    put(Table::seals, seal_key(kD, a_, 3), {1, 2, 3});
    EXPECT_EQ(found(), Lines{"seals of d at A@3: it does not decode: input ended early"});
    put(Table::seals, {0, 0, 0, 1}, {1});
    EXPECT_EQ(found().front(), "seals of d: a record's key is not of its form");
}

TEST_P(VerifyTest, ASeedIsSoundAndOneWithOtherOperationsIsNamed) {
    const auto seed_with = [](std::int64_t value) {
        return [value](Tx& tx) { return tx.set("/s", Value(value)); };
    };
    {
        const auto core = open_on(open_store());
        ASSERT_TRUE(document(*core).init_once(seed_with(1)).has_value());
        ASSERT_TRUE(core->commit().has_value());
    }
    EXPECT_EQ(found(deep()), Lines{});
    // Whoever has a seed can make its key: here it signs another value under the seed's name.
    ActorId actor;
    Bytes content;
    ChangeHash hash;
    edit_segment(6, [&](Segment& segment, crdt::Names& names, crdt::Batch& batch) {
        actor = segment.chains.front().actor;
        crdt::EncoderDictionary dictionary;
        crdt::encode_changes(names, batch, 0, 1, dictionary, content);
        std::fill_n(content.begin() + 2, ActorId::kSize, std::uint8_t{0});
        batch.ops.front().value = Value(std::int64_t{2});
        hash = crdt::ChangeHasher().hash(
            names, batch, batch.changes.front(), crdt::chain_origin("d", actor), {});
    });
    Bytes named;
    crdt::ByteWriter out(named);
    out.raw(as_bytes("joinery seed 1"));
    out.sized(as_bytes("d"));
    out.raw(content);
    const crdt::SigningKey key(crdt::hash_as<FixedBytes<32, struct KeyTag>>(named).bytes);
    edit_seal(actor, 1, [&](crdt::Seal& seal) {
        ASSERT_EQ(seal.proof.device, key.public_key());
        seal = crdt::make_seal(key, seal.proof, "d", 1, hash);
    });
    EXPECT_EQ(found(),
              Lines{"seals of d at " + to_hex(actor.view()) +
                    "@1: seed whose name is not its content's"});
}

// --- Snapshots -----------------------------------------------------------------------------------

TEST_P(VerifyTest, AMissingSnapshotIsNamed) {
    erase(Table::snapshots, snapshot_key(kD, 4));
    EXPECT_EQ(found(), Lines{"snapshots of d at #4: it is missing"});
}

TEST_P(VerifyTest, ASnapshotTooManyIsNamed) {
    put(Table::snapshots, snapshot_key(kD, 1), get(Table::snapshots, snapshot_key(kD, 4)));
    put(Table::snapshots, snapshot_key(kE, 1), {1});
    put(Table::snapshots, {0, 0, 0, 1}, {1});
    EXPECT_EQ(found(),
              (Lines{"snapshots of d: the document does not use it",
                     "snapshots of d at #1: the document does not use it",
                     "snapshots of e at #1: the document does not use it"}));
}

TEST_P(VerifyTest, ASnapshotWithAnotherStateIsNamed) {
    const Bytes sound = get(Table::snapshots, snapshot_key(kD, 4));
    const auto model = crdt::decode_snapshot(sound);
    ASSERT_TRUE(model.has_value());
    // The first byte that can be another without anything but the state to show for it.
    std::set<std::string> faults;
    for (std::size_t at = 0; at < sound.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            Bytes other = sound;
            other[at] = static_cast<std::uint8_t>(other[at] ^ (1U << bit));
            const auto decoded = crdt::decode_snapshot(other);
            if (!decoded || (*decoded)->digest() == (*model)->digest()) continue;
            put(Table::snapshots, snapshot_key(kD, 4), other);
            const Lines lines = found();
            ASSERT_EQ(lines.size(), 1U);
            faults.insert(lines.front());
            bit = 8;
        }
    }
    EXPECT_TRUE(
        faults.contains("snapshots of d at #4: its state is not what replaying the log "
                        "gives"));
    EXPECT_TRUE(faults.contains("snapshots of d at #4: its heads are not those of the log there"));
}

TEST_P(VerifyTest, ASnapshotOfAnotherDocumentOrTimeIsNamed) {
    const auto load = [&](const char* id, std::uint64_t count) {
        const auto store = open_store();
        const auto reader = *store->read();
        auto record = *decode_document_record(**reader->get(Table::documents, document_key(id)));
        record.snapshot_count = 0;
        record.change_count = count;
        return crdt::encode_snapshot(*load_document(*reader, id, record, {})->document);
    };
    put(Table::snapshots, snapshot_key(kD, 4), load("e", 1));
    EXPECT_EQ(found(), Lines{"snapshots of d at #4: it is another document's"});
    put(Table::snapshots, snapshot_key(kD, 4), load("d", 5));
    EXPECT_EQ(found(), Lines{"snapshots of d at #4: its heads are not those of the log there"});
    put(Table::snapshots, snapshot_key(kD, 4), load("d", 4));
    EXPECT_EQ(found(), Lines{});
}

TEST_P(VerifyTest, ASnapshotThatDoesNotDecodeIsNamedAlsoWhereTheLogDoesNotReachIt) {
    put(Table::snapshots, snapshot_key(kD, 4), {1, 3});
    EXPECT_EQ(found(), Lines{"snapshots of d at #4: it does not decode: input ended early"});
    erase(Table::log, segment_key(kD, 0));
    EXPECT_EQ(found(),
              (Lines{"log of d at #1: the change is missing",
                     "snapshots of d at #4: it does not decode: input ended early"}));
}

// --- Documents, meta, orphans --------------------------------------------------------------------

TEST_P(VerifyTest, WrongCountersOfADocumentAreNamed) {
    std::uint64_t size = 0;
    edit_record([&](DocumentRecord& record) { size = record.stored_size++; });
    EXPECT_EQ(found(),
              Lines{"documents of d: it counts " + std::to_string(size + 1) +
                    " bytes of segments, but the log has " + std::to_string(size)});
    edit_record([&](DocumentRecord& record) { record.stored_size = size; });
    edit_record([](DocumentRecord& record) { record.snapshot_count = 0; });
    EXPECT_EQ(found(), Lines{"snapshots of d at #4: the document does not use it"});
    edit_record([](DocumentRecord& record) { record.snapshot_count = 9; });
    EXPECT_EQ(found(),
              (Lines{"documents of d: its snapshot is of 9 changes, but it counts 6",
                     "snapshots of d at #4: the document does not use it",
                     "snapshots of d at #9: it is missing"}));
}

TEST_P(VerifyTest, AWrongNumberOfChangesIsNamed) {
    edit_record([](DocumentRecord& record) { ++record.change_count; });
    EXPECT_EQ(found(), Lines{"log of d at #7: the change is missing"});
    edit_record([](DocumentRecord& record) { record.change_count = 3; });
    const Lines lines = found();
    EXPECT_TRUE(
        std::ranges::find(lines, "documents of d: it counts 3 changes, but the log has 4") !=
        lines.end());
    edit_record([](DocumentRecord& record) { record.change_count = UINT64_MAX; });
    EXPECT_EQ(found().front().substr(0, 17), "log of d at #7: 1");
}

TEST_P(VerifyTest, ADocumentsRecordThatDoesNotDecodeLeavesItsRecordsToNobody) {
    put(Table::documents, document_key("d"), {1});
    EXPECT_EQ(found(),
              (Lines{"documents of d: its record does not decode: input ended early",
                     "log: 4 records are of document number 1, which no sound record of documents "
                     "has",
                     "index: 5 records are of document number 1, which no sound record of "
                     "documents has",
                     "snapshots: 1 record is of document number 1, which no sound record of "
                     "documents has",
                     "seals: 5 records are of document number 1, which no sound record of "
                     "documents has"}));
    EXPECT_EQ(verify().document_count, 1U);
}

TEST_P(VerifyTest, OneNumberOfTwoDocumentsAndAnImpossibleNameAreNamed) {
    put(Table::documents, document_key("z"), get(Table::documents, document_key("e")));
    put(Table::documents, {'a', 7}, get(Table::documents, document_key("e")));
    EXPECT_EQ(found(),
              (Lines{"documents of (hex 6107): its id is not one that a document can have",
                     "documents of z: it has the number 2, which is that of e"}));
}

TEST_P(VerifyTest, RecordsOfNoDocumentAreNamed) {
    for (const Table table :
         {Table::log, Table::index, Table::snapshots, Table::seals, Table::live}) {
        put(table, {0xff, 0xff, 0xff, 0xff, 1}, {1});
        put(table, {0xff, 0xff, 0xff, 0xff, 2}, {1});
        put(table, {7}, {1});
    }
    Lines expected;
    for (const std::string name : {"log", "index", "snapshots", "seals", "live"}) {
        expected.push_back(name + ": a record's key is not of its form");
        expected.push_back(name +
                           ": 2 records are of document number 4294967295, which no sound record "
                           "of documents has");
    }
    Lines lines = found();
    std::ranges::sort(lines);
    std::ranges::sort(expected);
    EXPECT_EQ(lines, expected);
}

TEST_P(VerifyTest, FaultsOfTheStoresOwnCountersAreNamed) {
    const auto key = [](std::string_view name) {
        const ByteView bytes = as_bytes(name);
        return Bytes(bytes.begin(), bytes.end());
    };
    put(Table::meta, key(kNextDocumentKey), encode_arrival(2));
    EXPECT_EQ(found(), Lines{"meta: the next document would get a number that is taken"});
    put(Table::meta, key(kNextDocumentKey), {});
    EXPECT_EQ(found(), Lines{"meta: the next document's number does not decode"});
    erase(Table::meta, key(kNextDocumentKey));
    EXPECT_EQ(found(), Lines{"meta: the next document would get a number that is taken"});
    put(Table::meta, key(kNextDocumentKey), encode_arrival(3));
    put(Table::meta, key(kDeviceSeedKey), {1, 2});
    EXPECT_EQ(found(), Lines{"meta: the device's key is not 32 bytes long"});
    erase(Table::meta, key(kDeviceSeedKey));
    put(Table::meta, key("other"), {1});
    EXPECT_EQ(found(),
              (Lines{"meta: other is no record that this program knows",
                     "meta: the device's key is missing, so that programs will write as a new "
                     "device"}));
}

}  // namespace
}  // namespace joinery::detail
