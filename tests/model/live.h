/// @file
/// The live registers as docs/semantics.md I2 to I7 say them, in the plainest way: all writes that
/// are known, and what of them stands worked out from scratch.
#pragma once

#include "crdt/live_batch.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace joinery::model {

class LiveModel {
  public:
    explicit LiveModel(std::size_t count_max) : count_max_(count_max) {}

    void add(const ActorId& actor, const crdt::LiveWrite& write) {
        writes_.emplace_back(actor, write);
    }
    void add(const LiveModel& other) {
        writes_.insert(writes_.end(), other.writes_.begin(), other.writes_.end());
    }

    /// What stands, as text in a fixed order: the greatest write of each register, and of those the
    /// greatest by (stamp, slot).
    std::set<std::string> standing() const {
        using Write = std::pair<ActorId, crdt::LiveWrite>;
        std::map<std::pair<crdt::PathId, std::string>, Write> registers;
        const auto order = [](const Write& w) {
            return std::tuple(w.second.stamp, w.first, crdt::live_item_hash(w.first, w.second));
        };
        for (const Write& write : writes_) {
            const auto [at, is_new] =
                registers.try_emplace({write.second.map, write.second.key}, write);
            if (!is_new && order(at->second) < order(write)) at->second = write;
        }
        std::vector<std::tuple<std::uint64_t, crdt::LiveHash, std::string>> all;
        for (const auto& [name, write] : registers) {
            all.emplace_back(write.second.stamp,
                             crdt::live_slot(name.first, name.second),
                             text(write.first, write.second));
        }
        std::ranges::sort(all, std::greater<>());
        if (all.size() > count_max_) all.resize(count_max_);
        std::set<std::string> out;
        for (const auto& [stamp, slot, line] : all)
            out.insert(line);
        return out;
    }

    /// A write as one line that is different for different ones.
    static std::string text(const ActorId& actor, const crdt::LiveWrite& write) {
        return to_hex(write.map.view()).substr(0, 4) + "/" + write.key + " @" +
               std::to_string(write.stamp) + " by " + to_hex(actor.view()).substr(0, 8) + " = " +
               (write.value
                    ? std::to_string(static_cast<int>(write.value->type())) + ":" +
                          to_hex(write.value->content()) + std::to_string(write.value->payload())
                    : "nothing");
    }

  private:
    std::size_t count_max_;
    std::vector<std::pair<ActorId, crdt::LiveWrite>> writes_;
};

}  // namespace joinery::model
