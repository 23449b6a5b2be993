// The patches that a document delivers are a JSON Patch (RFC 6902): who applies them to a copy of
// the view has the view, whatever happened and wherever.

#include "joinery/json.h"
#include "support/json_patch.h"
#include "support/random_tx.h"
#include "tests/engine/core_rig.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace joinery::detail {
namespace {

/// A document's copy, kept by patches alone.
class Follower {
  public:
    Follower(DocumentCore& document, std::string path)
        : document_(document), path_(std::move(path)), copy_(*document.read("")) {
        watch_ = document.observe(path_, [this](const Event& event) { follow(event); });
    }
    void check(const std::string& when) {
        const Plain view = *document_.read("");
        ASSERT_EQ(fault_, "") << when;
        ASSERT_EQ(text(copy_), text(view)) << when;
        ASSERT_TRUE(copy_ == view) << when;
    }
    std::size_t local_count = 0;
    std::size_t remote_count = 0;

  private:
    static std::string text(const Plain& value) {
        return *print_json(value, {.indent = 0, .foreign = JsonForeign::as_text});
    }
    void follow(const Event& event) {
        ++(event.local ? local_count : remote_count);
        for (const Patch& patch : event.patches) {
            if (!test::apply_patch(copy_, patch) && fault_.empty()) {
                fault_ = "does not fit: " + patch.path;
            }
        }
    }

    DocumentCore& document_;
    std::string path_;
    Plain copy_;
    std::string fault_;
    Subscription watch_;
};

using PatchTest = CoreTest;

TEST_F(PatchTest, FollowingThePatchesGivesTheViewOnRandomHistories) {
    std::size_t remote_count = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        test::Dice dice(seed);
        persist::MemoryDisk disk;
        persist::MemoryDisk other_disk;
        // The last two are two processes on one store.
        const std::vector<std::unique_ptr<Core>> cores = [&] {
            std::vector<std::unique_ptr<Core>> out;
            out.push_back(open(disk));
            out.push_back(open(other_disk));
            out.push_back(open(other_disk));
            return out;
        }();
        std::vector<std::unique_ptr<Follower>> followers;
        for (const auto& core : cores)
            followers.push_back(std::make_unique<Follower>(document(*core), ""));
        for (int step = 0; step < 60; ++step) {
            const std::size_t at = dice.below(cores.size());
            const std::size_t from = dice.below(cores.size());
            if (dice.chance(60) || at == from) {
                static_cast<void>(
                    document(*cores[at])
                        .transact([&](Tx& tx) { return test::edit_randomly(dice, tx); }, ""));
            } else {
                ASSERT_TRUE(cores[from]->commit().has_value());
                send(*cores[from], *cores[at]);
                ASSERT_TRUE(cores[at]->commit().has_value());
            }
            for (const auto& follower : followers) {
                follower->check("seed " + std::to_string(seed) + ", step " + std::to_string(step));
                if (HasFatalFailure()) return;
            }
        }
        for (const auto& follower : followers)
            remote_count += follower->remote_count;
    }
    EXPECT_GT(remote_count, 500U);
}

TEST_F(PatchTest, EventsComeInTheOrderOfTheChangesAlsoWhereAnotherThreadCutsIn) {
    auto core = open(disk_);
    Follower follower(document(*core), "");
    // As another thread would, between the first change and its event.
    on_pending = [&] { set(*core, "/a", 2); };
    set(*core, "/a", 1);
    EXPECT_EQ(follower.local_count,
              1U);  // E2: the first was not told yet when the second was made.
    follower.check("after both");
}

TEST_F(PatchTest, AFailedTransactionTellsNobodyAndLeavesNothingBehindForTheNext) {
    const auto core = open(disk_);
    set(*core, "/a", 1);
    Follower follower(document(*core), "");
    const auto failed = document(*core).transact(
        [](Tx& tx) -> Result<void> {
            JOINERY_TRY_VOID(tx.set("/b", Value(std::int64_t{1})));
            return fail(Errc::conflict, "no");
        },
        "");
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ(follower.local_count, 0U);
    set(*core, "/c", 1);
    EXPECT_EQ(follower.local_count, 1U);
    follower.check("after the next");
}

}  // namespace
}  // namespace joinery::detail
