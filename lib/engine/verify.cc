// The check of a whole store: documents one by one, and what belongs to none of them.

#include "joinery/verify.h"

#include "engine/outbox.h"
#include "engine/trust.h"
#include "engine/verify_document.h"
#include "engine/verify_forks.h"
#include "engine/verify_scope.h"
#include "persist/inspect.h"

#include <algorithm>
#include <array>
#include <map>

namespace joinery {
namespace detail {
namespace {

/// The tables whose keys begin with a document's number.
struct NumberedTable {
    Table table;
    const char* name;
};
constexpr std::array<NumberedTable, 5> kNumberedTables = {{
    {Table::log, "log"},
    {Table::index, "index"},
    {Table::snapshots, "snapshots"},
    {Table::seals, "seals"},
    {Table::live, "live"},
}};
constexpr const char* kRemedyPages =
    "restore a backup, or sync from a peer into a new store; do not write to this one";

/// A name from a store that may be damaged, fit to be printed.
std::string printable(ByteView name) {
    if (check_document_id(as_text(name))) return std::string(as_text(name));
    return "(hex " + to_hex(name) + ")";
}

DocumentNumber number_of(ByteView key) {
    DocumentNumber number = 0;
    for (const std::uint8_t byte : key.first(4))
        number = (number << 8U) | byte;
    return number;
}

class StoreCheck {
  public:
    explicit StoreCheck(CheckScope& scope) : scope_(scope) {}

    Result<void> run() {
        if (scope_.options.document.empty()) {
            JOINERY_TRY_VOID(find_documents());
            JOINERY_TRY_VOID(check_meta());
        } else {
            JOINERY_TRY_VOID(find_document(scope_.options.document));
        }
        for (const auto& [id, record] : documents_)
            scope_.change_total += record.change_count;
        for (const auto& [id, record] : documents_) {
            ++scope_.report.document_count;
            JOINERY_TRY_VOID(record.is_forked() ? ForkedCheck(scope_, id, record).run()
                                                : DocumentCheck(scope_, id, record).run());
        }
        if (!scope_.options.document.empty()) return {};
        for (const NumberedTable& table : kNumberedTables)
            JOINERY_TRY_VOID(find_orphans(table));
        return {};
    }

  private:
    Result<void> find_documents() {
        TableScan scan(scope_, Table::documents, {});
        while (true) {
            JOINERY_TRY(const auto item, scan.next());
            if (!item) return {};
            note_document(*item);
        }
    }

    Result<void> find_document(const std::string& id) {
        JOINERY_TRY_VOID(check_document_id(id));
        TableScan scan(scope_, Table::documents, document_key(id));
        JOINERY_TRY(const auto item, scan.next());
        if (!item || as_text(item->key) != id) {
            return fail(Errc::not_found, "no such document; `ls` lists them");
        }
        note_document(*item);
        return {};
    }

    void note_document(const TableScan::Item& item) {
        const std::string id = printable(item.key);
        const auto fault = [&](std::string what, const char* remedy) {
            scope_.add({"documents", id, "", std::move(what), remedy});
        };
        if (!check_document_id(as_text(item.key))) {
            return fault("its id is not one that a document can have", kRemedyRestore);
        }
        if (!item.value) return fault("its record fails its checksum", kRemedyReplace);
        const auto record = decode_document_record(*item.value);
        if (!record) {
            return fault("its record does not decode: " + std::string(record.error().what),
                         remedy_for(record.error()));
        }
        const auto [at, is_new] = numbers_.emplace(record->number, id);
        if (!is_new) {
            return fault("it has the number " + std::to_string(record->number) +
                             ", which is that of " + at->second,
                         kRemedyReplace);
        }
        documents_.emplace(id, *record);
    }

    Result<void> check_meta() {
        bool has_device = false;
        std::optional<std::uint64_t> next;
        TableScan scan(scope_, Table::meta, {});
        while (true) {
            JOINERY_TRY(const auto item, scan.next());
            if (!item) break;
            const std::string_view key = as_text(item->key);
            const bool is_device = key == kDeviceSeedKey;
            if (is_outbox_key(item->key)) {
                check_acknowledged(*item);
                continue;
            }
            if (is_rejected_key(item->key)) {
                check_rejected(*item);
                continue;
            }
            if (is_trust_key(item->key) || is_answer_key(item->key)) {
                check_key_record(*item);
                continue;
            }
            if (!is_device && key != kNextDocumentKey) {
                add_meta(printable(item->key) + " is no record that this program knows",
                         kRemedyUpdate);
            } else if (!item->value) {
                add_meta(std::string(key) + " fails its checksum", kRemedyRestore);
            } else if (is_device && item->value->size() != kDeviceSeedSize) {
                add_meta("the device's key is not 32 bytes long", kRemedyRestore);
            } else if (!is_device) {
                const auto number = decode_arrival(*item->value);
                if (!number) add_meta("the next document's number does not decode", kRemedyRestore);
                next = number.value_or(UINT64_MAX);
            }
            has_device = has_device || is_device;
            if (!is_device && key == kNextDocumentKey && !next) next = UINT64_MAX;
        }
        if (numbers_.empty()) return {};
        if (!has_device) {
            add_meta("the device's key is missing, so that programs will write as a new device",
                     kRemedyRestore);
        }
        if (next.value_or(0) <= numbers_.rbegin()->first) {
            add_meta("the next document would get a number that is taken", kRemedyRestore);
        }
        return {};
    }

    void check_acknowledged(const TableScan::Item& item) {
        if (item.value && decode_acknowledged(*item.value)) return;
        add_meta("what a device acknowledged cannot be read", kRemedyAcknowledged);
    }

    void check_rejected(const TableScan::Item& item) {
        if (item.value && decode_rejected(*item.value)) return;
        add_meta("why change " + std::to_string(rejected_change(item.key).seq) + " of " +
                     to_hex(rejected_change(item.key).actor.view()) + " was refused cannot be read",
                 kRemedyRejected);
    }

    void check_key_record(const TableScan::Item& item) {
        if (!item.value) return add_meta("a trusted key fails its checksum", kRemedyTrust);
        Result<void> decoded;
        if (is_trust_key(item.key)) {
            const auto peer = decode_trusted(item.key, *item.value);
            if (!peer) decoded = peer.error();
        } else {
            const auto answer = decode_answer(*item.value);
            if (!answer) decoded = answer.error();
        }
        if (decoded) return;
        const bool is_newer = decoded.error().code == Errc::unsupported;
        add_meta(std::string(decoded.error().what), is_newer ? kRemedyUpdate : kRemedyTrust);
    }

    void add_meta(std::string what, const char* remedy) {
        scope_.add({"meta", "", "", std::move(what), remedy});
    }

    /// Records of no document; those of documents are skipped, but in the table that has no other
    /// check.
    Result<void> find_orphans(const NumberedTable& table) {
        Bytes from;
        while (true) {
            const auto found = scope_.reader.first_at_or_after(table.table, from);
            if (!found && found.error().code != Errc::damaged) return found.error();
            if (found && !*found) return {};
            const ByteView key = found ? (*found)->key : scope_.reader.damaged_key();
            if (key.empty()) return found.error();
            if (key.size() < 4) {
                scope_.add(
                    {table.name, "", "", "a record's key is not of its form", kRemedyLeftover});
                ++scope_.report.record_count;
                from.assign(key.begin(), key.end());
                from.push_back(0);
                continue;
            }
            const DocumentNumber number = number_of(key);
            if (!numbers_.contains(number)) {
                JOINERY_TRY_VOID(count_orphans(table, number));
            } else if (table.table == Table::live) {
                JOINERY_TRY_VOID(check_live(number));
            }
            if (number == UINT32_MAX) return {};
            from = document_prefix(number + 1);
        }
    }

    Result<void> count_orphans(const NumberedTable& table, DocumentNumber number) {
        std::uint64_t count = 0;
        TableScan scan(scope_, table.table, document_prefix(number));
        while (true) {
            JOINERY_TRY(const auto item, scan.next());
            if (!item) break;
            ++count;
        }
        scope_.add({table.name,
                    "",
                    "",
                    std::to_string(count) + (count == 1 ? " record is" : " records are") +
                        " of document number " + std::to_string(number) +
                        ", which no sound record of documents has",
                    kRemedyReplace});
        return {};
    }

    Result<void> check_live(DocumentNumber number) {
        TableScan scan(scope_, Table::live, document_prefix(number));
        while (true) {
            JOINERY_TRY(const auto item, scan.next());
            if (!item) return {};
            if (item->value) continue;
            scope_.add({"live",
                        numbers_.at(number),
                        "",
                        "a live value fails its checksum",
                        "write the value again, or restore a backup"});
        }
    }

    CheckScope& scope_;
    std::map<std::string, DocumentRecord> documents_;
    std::map<DocumentNumber, std::string> numbers_;  ///< Whose each number is.
};

/// Damage that is not of one record is of the pages.
Result<void> check_records(StoreReader& reader,
                           const VerifyOptions& options,
                           VerifyReport& report) {
    CheckScope scope{reader, options, report};
    const auto done = StoreCheck(scope).run();
    if (done || done.error().code != Errc::damaged) return done;
    scope.add({"data.mdb", "", "", std::string(done.error().what), kRemedyPages});
    return {};
}

std::string page_fault(const Error& error) {
    const std::string_view text = error.what.substr(0, error.what.find(": "));
    if (error.at == 0) return std::string(text);
    return std::string(text) + ", first seen in page " + std::to_string(error.at);
}

void add_files(const persist::Inspection& inspection, VerifyReport& report) {
    const auto add = [&report](Damage damage) {
        ++report.damage_count;
        report.damages.push_back(std::move(damage));
    };
    if (inspection.damage) {
        add({"data.mdb", "", "", page_fault(*inspection.damage), kRemedyPages});
    }
    if (inspection.head_damage) {
        add({"data.mdb",
             "",
             "",
             "its head changed while the store was closed, so that the last commit may be lost",
             "restore a backup, or remove the file sidecar to take it as it is"});
    }
    for (const std::string& key : inspection.odd_records) {
        add({"store",
             "",
             "",
             "its record " + key + " is of no form that this program writes",
             "restore a backup, or update this program and check again"});
    }
    for (const persist::DamagedFile& file : inspection.files) {
        add({file.name,
             "",
             "",
             "it is not what a store writes there",
             "nothing is lost: the next program that opens the store writes as a new actor"});
    }
}

}  // namespace
}  // namespace detail

std::string describe(const Damage& damage) {
    std::string line = damage.where;
    if (!damage.document.empty()) line += " of " + damage.document;
    if (!damage.change.empty()) line += " at " + damage.change;
    return line + ": " + damage.what + "; " + damage.remedy;
}

Result<VerifyReport> verify_store(const std::filesystem::path& directory,
                                  const VerifyOptions& options) {
    JOINERY_TRY(const auto inspection, persist::inspect_lmdb_store(directory));
    VerifyReport report;
    report.page_count = inspection.check.page_count;
    detail::add_files(inspection, report);
    if (inspection.reader) {
        JOINERY_TRY_VOID(detail::check_records(*inspection.reader, options, report));
    }
    return report;
}

Result<VerifyReport> verify_store(Store& store, const VerifyOptions& options) {
    JOINERY_TRY(const auto reader, store.read());
    VerifyReport report;
    JOINERY_TRY_VOID(detail::check_records(*reader, options, report));
    return report;
}

}  // namespace joinery
