/// @file
/// What the parts of a check of a store share: where they read, what they have counted and found.
#pragma once

#include "base/bytes.h"
#include "base/store.h"
#include "engine/records.h"
#include "joinery/verify.h"

#include <optional>
#include <string>
#include <utility>

namespace joinery::detail {

/// What a person can do.
inline constexpr const char* kRemedyReplace =
    "restore a backup, or sync the document from a peer into a new store";
inline constexpr const char* kRemedyRestore = "restore a backup";
inline constexpr const char* kRemedyIndex =
    "the log has all of it: sync the document from a peer into a new store, or restore a backup";
inline constexpr const char* kRemedySnapshot =
    "the log has all of it: the document opens, slowly, and its next change makes another snapshot";
inline constexpr const char* kRemedyLeftover =
    "nothing reads it; to be rid of it, sync from this store into a new one";
inline constexpr const char* kRemedyAcknowledged =
    "nothing: the device says it again when it is met, and the record is written anew";
inline constexpr const char* kRemedyRejected =
    "`joinery log` has it, in the refusal; the document itself is sound";
inline constexpr const char* kRemedyTrust = "put the key on the list again: `joinery trust add`";
inline constexpr const char* kRemedyUpdate = "update this program and check again";

struct CheckScope {
    StoreReader& reader;
    const VerifyOptions& options;
    VerifyReport& report;
    std::uint64_t change_total = 0;  ///< Of all documents to be checked, as they say.

    void add(Damage damage) {
        ++report.damage_count;
        if (report.damages.size() < options.damage_max) report.damages.push_back(std::move(damage));
    }
};

/// What to do about a record that says @p error.
inline const char* remedy_for(const Error& error) {
    return error.code == Errc::unsupported ? kRemedyUpdate : kRemedyReplace;
}

/// "ACTOR@SEQ".
inline std::string change_name(const ActorId& actor, std::uint64_t seq) {
    return to_hex(actor.view()) + "@" + std::to_string(seq);
}

/// "#N": the Nth change to arrive, from 1.
inline std::string arrival_name(std::uint64_t number) { return "#" + std::to_string(number); }

/// The records of a table whose keys begin with a prefix, those that fail their checksum too.
class TableScan {
  public:
    struct Item {
        Bytes key;
        std::optional<ByteView> value;  ///< None: the checksum fails. Lives as long as the reader.
    };

    TableScan(CheckScope& scope, Table table, Bytes prefix)
        : scope_(scope), table_(table), prefix_(std::move(prefix)), from_(prefix_) {}

    /// The next one; none at the end. An Error where the store cannot be read at all.
    Result<std::optional<Item>> next() {
        const auto found = scope_.reader.first_at_or_after(table_, from_);
        Item item;
        if (found) {
            if (!*found) return std::optional<Item>();
            item.key.assign((*found)->key.begin(), (*found)->key.end());
            item.value = (*found)->value;
        } else {
            const ByteView key = scope_.reader.damaged_key();
            if (found.error().code != Errc::damaged || key.empty()) return found.error();
            item.key.assign(key.begin(), key.end());
        }
        const bool is_within = item.key.size() >= prefix_.size() &&
                               std::equal(prefix_.begin(), prefix_.end(), item.key.begin());
        if (!is_within) return std::optional<Item>();
        from_ = item.key;
        from_.push_back(0);
        ++scope_.report.record_count;
        return std::optional<Item>(std::move(item));
    }

  private:
    CheckScope& scope_;
    Table table_;
    Bytes prefix_;
    Bytes from_;
};

}  // namespace joinery::detail
