/// @file
/// The presence in one document: the last value of each (run of a peer, key), as it is told from
/// peer to peer. A state machine without I/O, lock or clock. docs/semantics.md P.
///
/// Each run counts what it writes; of one (run, key) the greater counter wins, and at equal ones
/// "gone" does. So it does not matter in which order items come, how often, or from where. That a
/// run is gone says it itself, or who had a link to it when that ended; of a run to which there is
/// a link here, nobody else is believed that it is gone, but it is asked. Nothing is signed.
///
/// Entries that went are kept for a while as gone, so that an older value, which comes late by
/// another way, does not bring them back.
#pragma once

#include "base/env.h"
#include "base/presence.h"
#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::session {

/// Entries of a document, those that are gone and remembered too; our own come on top.
inline constexpr std::size_t kPresenceEntriesMax = 4096;
/// How much longer than a value it is remembered that it is gone.
inline constexpr std::chrono::milliseconds kPresenceGoneTime = std::chrono::seconds(60);
/// Time to live, or to be remembered as gone, that an item may have left.
inline constexpr std::chrono::milliseconds kPresenceTimeLeftMax =
    kPresenceTimeMax + kPresenceGoneTime;
/// What each peer that passes an item on takes off its time: so none goes round for ever, however
/// long links take.
inline constexpr std::chrono::milliseconds kPresenceHopTime{10};
/// Greatest counter of a run.
inline constexpr std::uint64_t kPresenceCounterMax = std::uint64_t{1} << 53U;

/// An entry as it travels.
struct PresenceItem {
    PresenceId id;
    std::uint64_t counter = 0;  ///< 1, 2, 3...
    bool is_gone = false;
    Value value;  ///< Null where it is gone.
    std::chrono::milliseconds time_left{0};
};

/// How far somebody was told of a board.
struct PresenceCursor {
    std::uint64_t version = 0;
    std::uint32_t link = 0;  ///< Of PresenceBoard::join(): what came from there is not told again.
};

struct PresenceReceived {
    std::size_t taken = 0;
    std::size_t dropped = 0;  ///< For want of room: of their run, or of the board.
};

/// The presence in one document as a session needs it. The engine locks inside.
class PresencePort {
  public:
    PresencePort() = default;
    PresencePort(const PresencePort&) = delete;
    PresencePort& operator=(const PresencePort&) = delete;
    virtual ~PresencePort() = default;

    // As PresenceBoard's.
    virtual std::uint32_t join(const PeerRun& run, std::string_view name) = 0;
    virtual void leave(std::uint32_t link) = 0;
    virtual PresenceReceived receive(std::span<const PresenceItem> items, std::uint32_t link) = 0;
    virtual bool has_news(std::uint64_t version) const = 0;
    virtual std::vector<PresenceItem> collect(PresenceCursor& cursor, std::size_t size_max) = 0;
    /// Does what is due. @return When there is more to do; none: nothing until something happens.
    virtual std::optional<MonotonicTime> tend() = 0;
};

/// @par Memory
/// At most kPresenceEntriesMax entries and kPresenceKeysMax of our own, of some 400 bytes, their
/// key and their value each: 20 MB where somebody fills it with the longest.
class PresenceBoard {
  public:
    /// @param own  This peer's run.
    /// @param entries_max  kPresenceEntriesMax, but for tests.
    explicit PresenceBoard(const PeerRun& own, std::size_t entries_max = kPresenceEntriesMax)
        : own_(own), entries_max_(entries_max) {}

    // --- What this peer shows ------------------------------------------------------------------
    /// Shows @p value under @p key until clear(), to others as long as they hear of it within
    /// @p time_to_live. `over_limit` for a key, value, time or number of keys past its limit,
    /// `malformed` for what is not UTF-8.
    /// @return Whether that changed anything.
    Result<bool> set(std::string_view key,
                     Value value,
                     std::chrono::milliseconds time_to_live,
                     MonotonicTime now);
    bool clear(std::string_view key, MonotonicTime now);

    // --- What others show ----------------------------------------------------------------------
    /// There is a link to @p run over which its presence is exchanged: a number, not 0, for it.
    std::uint32_t join(const PeerRun& run, std::string_view name);
    /// That link ended. If it was the last one to its run, all that it showed is gone.
    void leave(std::uint32_t link, MonotonicTime now);
    PresenceReceived receive(std::span<const PresenceItem> items,
                             std::uint32_t link,
                             MonotonicTime now);
    /// What @p cursor's owner may not know, in items of about @p size_max bytes (one more may come
    /// on top); advances it.
    std::vector<PresenceItem> collect(PresenceCursor& cursor,
                                      std::size_t size_max,
                                      MonotonicTime now) const;
    /// Whether collect() would look at something.
    bool has_news(std::uint64_t version) const noexcept {
        return !by_version_.empty() && by_version_.rbegin()->first > version;
    }

    // --- Time ----------------------------------------------------------------------------------
    /// Says anew what we show, and lets go of what was not heard of again.
    void expire(MonotonicTime now);
    /// When expire() has something to do.
    std::optional<MonotonicTime> next_due() const;

    // --- Reading -------------------------------------------------------------------------------
    /// What is shown, by id.
    std::vector<PresenceEntry> list() const;
    /// Grows with whatever collect() would tell.
    std::uint64_t version() const noexcept { return version_; }
    /// Grows with whatever list() shows.
    std::uint64_t shown_version() const noexcept { return shown_version_; }
    /// What somebody was told that is shown, and its version.
    using Told = std::map<PresenceId, std::uint64_t>;
    /// What is different from @p told, which it brings up to date.
    PresenceEvent tell(Told& told) const;
    /// Entries kept, gone ones too.
    std::size_t entry_count() const noexcept { return entries_.size(); }

  private:
    struct Entry {
        std::uint64_t counter = 0;
        Value value;
        bool is_gone = true;
        /// Gone for us alone, whose time passed: everybody finds that out for himself.
        bool is_quiet = false;
        /// Others say that it is gone. Only its run, to which there is a link, can say that it is
        /// not: it is asked.
        bool is_doubted = false;
        std::uint32_t origin = 0;  ///< The link from which it came; 0: none.
        std::uint64_t version = 0;
        std::uint64_t shown_version = 0;
        std::chrono::milliseconds time_to_live{0};  ///< Of our own.
        MonotonicTime deadline{0};                  ///< When it expires, or is forgotten.
        MonotonicTime due{0};                       ///< The same; of our own when it is said anew.
    };
    using Entries = std::map<PresenceId, Entry>;
    using Place = Entries::iterator;
    using Dues = std::map<std::pair<MonotonicTime, std::uint64_t>, Place>;  // With the version.
    struct Linked {
        std::size_t count = 0;
        std::string name;
    };

    bool is_own(const PresenceId& id) const { return id.run == own_; }
    bool is_linked(const PeerRun& run) const { return linked_.contains(run); }
    const PeerRun* run_of(std::uint32_t link) const;
    std::size_t value_count(const PeerRun& run) const;
    /// The place of @p id, made if there is room for it.
    std::optional<Place> add(const PresenceId& id);
    bool make_room(const PeerRun& run);
    /// Gives the entry the state that @p next has, and a version.
    void write(Place place, Entry next);
    /// Tells everybody again what is there.
    void tell_again(Place place);
    void show(Place place, Value value, MonotonicTime now);
    void withdraw(Place place, MonotonicTime now);
    void unlist(Place place);
    void remove(Place place);
    void merge(const PresenceItem& item,
               std::uint32_t link,
               MonotonicTime now,
               PresenceReceived& received);
    void doubt(const PresenceItem& item);
    void answer(const PresenceItem& item, MonotonicTime now);
    std::optional<PresenceItem> item_for(const Entries::value_type& at,
                                         const PresenceCursor& cursor,
                                         MonotonicTime now) const;

    PeerRun own_;
    std::size_t entries_max_;
    std::uint64_t own_counter_ = 0;
    Entries entries_;
    std::map<std::uint64_t, Place> by_version_;
    Dues shown_dues_, gone_dues_;
    std::uint64_t version_ = 0, shown_version_ = 0;
    std::map<std::uint32_t, PeerRun> links_;
    std::map<PeerRun, Linked> linked_;
    std::uint32_t last_link_ = 0;
};

}  // namespace joinery::session
