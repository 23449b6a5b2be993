// Two peers that have more than one link between them.

#include "sim/links_rig.h"

#include <algorithm>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""s;

class PairTest : public LinksTest {
  protected:
    void keep(Process& from, const std::string& url) {
        ASSERT_TRUE(from.engine().links().keep_connected(url).has_value());
    }
    /// Links that are really there: each has both ends.
    std::size_t count_open() {
        std::size_t count = 0;
        for (Process* process : {&a(), &b()}) {
            for (const LinkStatus& link : process->engine().links().status())
                count += link.received_size != 0 ? 1U : 0U;
        }
        return count / 2;
    }
    void expect_all_online() {
        for (Process* process : {&a(), &b()}) {
            for (const LinkStatus& link : process->engine().links().status()) {
                EXPECT_EQ(link.state, LinkState::online) << link.url << " " << link.error;
                EXPECT_TRUE(link.in_step) << link.url;
            }
        }
    }
};

TEST_F(PairTest, WhoDialEachOtherKeepOneLink) {
    for (const bool is_a_first : {true, false}) {
        SCOPED_TRACE(is_a_first);
        keep(is_a_first ? a() : b(), is_a_first ? "mem://b" : "mem://a");
        settle();
        keep(is_a_first ? b() : a(), is_a_first ? "mem://a" : "mem://b");
        pass(3s);
        EXPECT_EQ(count_open(), 1U);
        expect_all_online();
        ASSERT_TRUE(a().engine().links().drop("mem://b").has_value());
        ASSERT_TRUE(b().engine().links().drop("mem://a").has_value());
        pass(1s);
        EXPECT_EQ(count_open(), 0U);
    }
}

TEST_F(PairTest, WhoDialEachOtherAtOnceKeepOneLinkAlsoAfterACut) {
    keep(a(), "mem://b");
    keep(b(), "mem://a");
    pass(3s);
    EXPECT_EQ(count_open(), 1U);
    for (int i = 0; i < 20; ++i) {
        network_.cut_between("a", "b");
        pass(4s);
        ASSERT_EQ(count_open(), 1U) << i;
        expect_all_online();
    }
}

TEST_F(PairTest, WhenTheDialThatWasKeptIsWithdrawnTheOtherOneIsMadeAgain) {
    keep(a(), "mem://b");
    keep(b(), "mem://a");
    pass(3s);
    // One of the two is the one that stays; the other side's must take its place.
    ASSERT_TRUE(a().engine().links().drop("mem://b").has_value());
    pass(3s);
    EXPECT_EQ(count_open(), 1U);
    expect_all_online();
    keep(a(), "mem://b");
    pass(3s);
    ASSERT_TRUE(b().engine().links().drop("mem://a").has_value());
    pass(3s);
    EXPECT_EQ(count_open(), 1U);
    expect_all_online();
}

TEST_F(PairTest, TwoDialsOfOneSideToOnePeerAreOneLink) {
    keep(a(), "mem://b");
    pass(1s);
    keep(a(), "mem://B");
    pass(3s);
    EXPECT_EQ(count_open(), 1U);
    expect_all_online();
    ASSERT_EQ(a().engine().links().status().size(), 2U);
}

TEST_F(PairTest, ASyncBesideALinkIsNoTwin) {
    keep(b(), "mem://a");
    pass(1s);
    EXPECT_TRUE(can_sync());
    pass(1s);
    EXPECT_EQ(count_open(), 1U);
}

}  // namespace
}  // namespace joinery::sim
