/// @file
/// Checks that what a store holds is whole: for backups before they are needed, after a disk that
/// acted up, and for tests. It changes nothing and repairs nothing; each finding says what to do.
#pragma once

#include "base/result.h"
#include "base/store.h"
#include "joinery/document.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace joinery {

/// How far a check has come.
struct VerifyProgress {
    std::uint64_t done_count = 0, change_count = 0;  ///< Changes: checked, and in all.
    std::string document;                            ///< The one in hand.
};

struct VerifyOptions {
    /// The one document to check; empty: all, and what belongs to no document.
    std::string document;
    /// Verifies every seal, about 50 us each, not only the newest of each chain, which vouches for
    /// all of it; and opens each document from its snapshot, as a program does, and compares the
    /// digest with that of the replay.
    bool deep = false;
    /// Findings that are kept; beyond, they are only counted.
    std::size_t damage_max = 1000;
    /// Called between pieces of work, on the caller's thread; empty: nobody.
    std::function<void(const VerifyProgress&)> progress;
};

/// One thing that is not as it should be.
struct Damage {
    std::string where;     ///< A table (docs/storage-format.md), or a file of the store.
    std::string document;  ///< Its id; empty where there is none.
    std::string change;    ///< `#N` or `ACTOR@SEQ`; empty where it is not about a change.
    std::string what;      ///< What is wrong, without final period.
    std::string remedy;    ///< What a person can do about it.
};

/// @p damage on one line: "log of ops/main at #17: what is wrong; what to do".
std::string describe(const Damage& damage);

/// An actor that signed two histories of a document, with seals that hold: no damage, but proof.
struct FoundFork {
    std::string document;
    Fork fork;
};

/// What was looked at, and what was found.
struct VerifyReport {
    std::uint64_t page_count = 0;  ///< Of the database; 0 for a Store that is open.
    std::uint64_t record_count = 0;
    std::uint64_t document_count = 0;
    std::uint64_t change_count = 0;    ///< Whose hashes were computed.
    std::uint64_t replayed_count = 0;  ///< Of these, applied from the first one on.
    std::uint64_t index_count = 0;
    std::uint64_t seal_count = 0;
    std::uint64_t verified_seal_count = 0;  ///< Of these, whose signature was verified.
    std::uint64_t snapshot_count = 0;       ///< Equal to what a replay gives.
    std::uint64_t damage_count = 0;
    std::vector<Damage> damages;   ///< The first ones, in order of document and place.
    std::vector<FoundFork> forks;  ///< By document, actor and seq.

    bool is_sound() const noexcept { return damage_count == 0; }
};

/// Checks the store, or the backup, in @p directory at one moment, while others may use it: its
/// pages and files, every record's checksum and form, and of every document that its log has no
/// gap, that each change's hash follows from its operations, that seals vouch for them, that index
/// and counters agree with the log, and that replaying the log gives the stored snapshot.
///
/// Damage in one document does not keep the others from being checked.
///
/// @return An Error only where the check could not be made: `not_found` if there is no store, or no
///         such document; `busy` if this process has the store open (use the other overload);
///         `unsupported` for a newer format; `conflict`, `malformed`, `io`.
/// @par Cost
/// About as much as reading the file and applying every change again; memory of one document, and
/// about 100 bytes a flush of it.
Result<VerifyReport> verify_store(const std::filesystem::path& directory,
                                  const VerifyOptions& options = {});

/// The same for a store that this process has open, or one in memory; its pages are not looked at.
Result<VerifyReport> verify_store(Store& store, const VerifyOptions& options = {});

}  // namespace joinery
