// Sequence against recorded and generated texts of other projects: every insert must land where
// they say.
#include "crdt/sequence.h"
#include "tests/support/shared_data.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::crdt {
namespace {

using Json = nlohmann::json;
using testing::read_file;
using testing::shared_path;

/// The characters of well-formed UTF-8, each as its bytes.
std::vector<std::string> characters(std::string_view text) {
    std::vector<std::string> found;
    for (const char byte : text) {
        if ((static_cast<unsigned char>(byte) & 0xc0U) != 0x80U) found.emplace_back();
        found.back() += byte;
    }
    return found;
}

struct Patch {
    std::uint32_t position;
    std::uint32_t deleted;
    std::vector<std::string> inserted;
};
struct Edit {
    std::vector<std::size_t> parents;
    ChainIndex chain;
    std::uint64_t counter;  ///< Of its first insert.
    std::vector<Patch> patches;
};

/// An insert or, where the character is empty, a delete of the place @p target.
struct Operation {
    Dot target;
    Dot left, right;
    std::string character;
};

/// The text as of some edits.
struct Branch {
    Sequence sequence;
    std::vector<std::string> text;  ///< Of each item.
    std::vector<bool> holds;        ///< By edit.
};

/// Replays edits at the versions at which they were made. Branches are handed on from parent to
/// child, and copied only where an edit has several children.
class Replay {
  public:
    /// @p less orders the chains.
    Replay(std::vector<Edit> edits, ChainOrder less)
        : edits_(std::move(edits)), less_(less), made_(edits_.size()), branches_(edits_.size()) {
        children_.resize(edits_.size());
        for (const Edit& edit : edits_) {
            if (!edit.parents.empty()) ++children_[edit.parents[0]];
        }
    }

    /// The text after all edits.
    std::string run() {
        Branch all;
        all.holds.resize(edits_.size());
        for (std::size_t i = 0; i < edits_.size(); ++i) {
            Branch branch = start_of(i);
            for (const std::size_t parent : edits_[i].parents)
                pull(branch, parent);
            for (const Patch& patch : edits_[i].patches)
                make(branch, i, patch);
            branch.holds[i] = true;
            if (children_[i] > 0) branches_[i] = std::move(branch);
        }
        for (std::size_t i = 0; i < edits_.size(); ++i)
            pull(all, i);
        all.sequence.check();
        std::string text;
        all.sequence.for_each_visible([&](Item item) { text += all.text[item]; });
        return text;
    }

  private:
    Branch start_of(std::size_t edit) {
        Branch empty;
        empty.holds.resize(edits_.size());
        if (edits_[edit].parents.empty()) return empty;
        const std::size_t parent = edits_[edit].parents[0];
        if (--children_[parent] > 0) return branches_[parent];
        return std::move(branches_[parent]);
    }

    /// Applies what @p branch lacks of @p edit and all before it.
    void pull(Branch& branch, std::size_t edit) {
        std::vector<std::size_t> todo{edit};
        std::vector<std::size_t> missing;
        while (!todo.empty()) {
            const std::size_t next = todo.back();
            todo.pop_back();
            if (branch.holds[next]) continue;
            branch.holds[next] = true;
            missing.push_back(next);
            todo.insert(todo.end(), edits_[next].parents.begin(), edits_[next].parents.end());
        }
        std::sort(missing.begin(), missing.end());
        for (const std::size_t next : missing) {
            for (const Operation& operation : made_[next])
                apply(branch, operation);
        }
    }

    void apply(Branch& branch, const Operation& operation) {
        Sequence& sequence = branch.sequence;
        const auto item_of = [&](Dot dot) {
            return dot.chain == kNone ? kNoItem : sequence.find(dot.chain, dot.counter).value();
        };
        if (operation.character.empty()) {
            sequence.set_visible(item_of(operation.target), false);
            return;
        }
        const Item left = item_of(operation.left);
        const Item right = item_of(operation.right);
        ASSERT_TRUE(sequence.accepts(left, right));
        const Item made =
            sequence.insert(operation.target.chain, operation.target.counter, left, right, less_);
        sequence.set_visible(made, true);
        branch.text.push_back(operation.character);
    }

    void make(Branch& branch, std::size_t edit, const Patch& patch) {
        const Sequence& sequence = branch.sequence;
        const auto dot_of = [&](Item item) {
            return item == kNoItem ? Dot{} : sequence.id_of(item);
        };
        const auto commit = [&](Operation operation) {
            apply(branch, operation);
            made_[edit].push_back(std::move(operation));
        };
        for (std::uint32_t i = 0; i < patch.deleted; ++i) {
            commit({dot_of(sequence.item_at(patch.position)), {}, {}, {}});
        }
        std::uint32_t position = patch.position;
        for (const std::string& character : patch.inserted) {
            const Item left = position == 0 ? kNoItem : sequence.item_at(position - 1);
            const Item right = sequence.next_item(left);
            const Dot own{edits_[edit].chain, edits_[edit].counter++};
            commit({own, dot_of(left), dot_of(right), character});
            ++position;
        }
    }

    std::vector<Edit> edits_;
    ChainOrder less_;
    std::vector<std::vector<Operation>> made_;
    std::vector<Branch> branches_;
    std::vector<std::size_t> children_;
};

std::vector<Patch> patches_of(const Json& list) {
    std::vector<Patch> patches;
    for (const Json& patch : list) {
        patches.push_back({patch[0], patch[1], characters(patch[2].get<std::string>())});
    }
    return patches;
}

/// Agents of these tests fork, so each transaction is a chain of its own, ordered by (agent, seq).
std::string replay_conformance(const Json& test) {
    std::vector<Edit> edits;
    std::vector<std::pair<std::string, std::uint64_t>> names;
    std::vector<std::size_t> edit_of_version;
    for (const Json& transaction : test["txns"]) {
        Edit edit;
        for (const std::size_t parent : transaction["parents"]) {
            // A parent within a transaction would need half of it.
            EXPECT_TRUE(parent + 1 == edit_of_version.size() ||
                        edit_of_version[parent] != edit_of_version[parent + 1]);
            edit.parents.push_back(edit_of_version[parent]);
        }
        edit.chain = static_cast<ChainIndex>(edits.size());
        edit.counter = 1;
        edit.patches = patches_of(transaction["ops"]);
        edit_of_version.resize(transaction["span"][1], edits.size());
        edits.push_back(std::move(edit));
        names.emplace_back(transaction["agent"], transaction["seqStart"]);
    }
    const auto less = [&](ChainIndex a, ChainIndex b) { return names[a] < names[b]; };
    return Replay(std::move(edits), less).run();
}

TEST(SequenceVectors, AgreesWithAllTestsOfTextConformance) {
    const auto path = shared_path("data/crdt-vectors/diamond-types/text-conformance.jsonl.gz");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t count = 0;
    for (const std::string& line : testing::read_lines(path)) {
        const Json test = Json::parse(line);
        ++count;
        ASSERT_EQ(replay_conformance(test), test["endContent"].get<std::string>())
            << "line " << count;
    }
    EXPECT_EQ(count, 650U);
}

/// The text after all transactions, and the one that the trace gives.
std::pair<std::string, std::string> replay_trace(const std::filesystem::path& path,
                                                 bool agents_fork) {
    const Json trace = Json::parse(read_file(path));
    std::vector<Edit> edits;
    std::vector<std::uint32_t> agents;
    std::vector<std::uint64_t> next_counter(trace["numAgents"].get<std::size_t>(), 1);
    for (const Json& transaction : trace["txns"]) {
        Edit edit;
        const std::uint32_t agent = transaction["agent"];
        edit.parents = transaction["parents"].get<std::vector<std::size_t>>();
        edit.patches = patches_of(transaction["patches"]);
        edit.chain = agents_fork ? static_cast<ChainIndex>(edits.size()) : agent;
        edit.counter = next_counter[agent];
        for (const Patch& patch : edit.patches)
            next_counter[agent] += patch.inserted.size();
        edits.push_back(std::move(edit));
        agents.push_back(agent);
    }
    const auto less = [&](ChainIndex a, ChainIndex b) {
        return agents_fork ? std::pair(agents[a], a) < std::pair(agents[b], b) : a < b;
    };
    return {Replay(std::move(edits), less).run(), trace["endContent"]};
}

TEST(SequenceVectors, ReplaysTwoPeopleTypingAtOnce) {
    const auto path = shared_path("data/editing-traces/concurrent/friendsforever.json.gz");
    JOINERY_SKIP_WITHOUT(path);
    const auto [text, expected] = replay_trace(path, false);
    EXPECT_EQ(text, expected);
}

TEST(SequenceVectors, ReplaysLongBranchesOfManyAuthors) {
    const auto path = shared_path("data/editing-traces/concurrent/node_nodecc.json.gz");
    JOINERY_SKIP_WITHOUT(path);
    const auto [text, expected] = replay_trace(path, true);
    EXPECT_EQ(text, expected);
}

}  // namespace
}  // namespace joinery::crdt
