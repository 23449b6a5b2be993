// A reader that takes nothing while much is written (protocols.md C.7, 18).

#include "sim/links_rig.h"

#include <gtest/gtest.h>
#include <string>

namespace joinery::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class SlowTest : public LinksTest {
  protected:
    /// As pass(), but that nothing reaches @p host.
    void pass_without(const std::string& host, Now time) {
        for (Now gone{0}; gone < time; gone += 1ms) {
            now_ += 1ms;
            for (bool is_any = true; is_any;) {
                is_any = deliver_to_all_but(host);
                for (const auto& process : processes_)
                    is_any = run_tasks(*process) || is_any;
            }
        }
    }
    bool deliver_to_all_but(const std::string& host) {
        bool is_any = false;
        for (bool goes_on = true; goes_on;) {
            goes_on = false;
            const auto pending = network_.pending();
            for (std::size_t i = 0; i < pending.size() && !goes_on; ++i) {
                if (pending[i].to == host && pending[i].from != host) continue;
                network_.deliver(i);
                goes_on = is_any = true;
            }
        }
        return is_any;
    }
    static detail::DocumentCore& document(Process& process) {
        return *process.documents().at("d").core;
    }
    /// Bytes that a link of @p process to @p other was given.
    static std::uint64_t sent_to(Process& process, Process& other) {
        for (const LinkStatus& link : process.engine().links().status()) {
            if (link.device == other.core().device()) return link.sent_size;
        }
        ADD_FAILURE() << "there is no link";
        return 0;
    }
};

TEST_F(SlowTest, CostsABoundedAmountAndHasAllInTheEnd) {
    ProcessSetup setup;
    setup.host = "c";
    setup.authorize = let_everybody_in;
    Process& c = add(std::move(setup));
    for (Process* reader : {&b(), &c}) {
        ASSERT_TRUE(reader->engine().links().keep_connected("mem://a").has_value());
        ASSERT_NE(reader->open("d", true), nullptr);
    }
    ASSERT_NE(a().open("d", true), nullptr);
    const std::string text(500, 'x');
    const auto write = [&](int number) {
        const auto body = [&](Tx& tx) {
            return tx.set("/w" + std::to_string(number % 500),
                          Value(text + std::to_string(number)));
        };
        ASSERT_TRUE(document(a()).transact(body, "").has_value());
    };
    write(0);
    pass(2s);
    const std::uint64_t before = sent_to(a(), b());
    // 20,000 changes, some 10 MB. The link to b must not break of it in this test: it is asked
    // for a sign of life only after 5 s.
    for (int i = 1; i <= 20'000; ++i) {
        write(i);
        if (i % 10 == 0) pass_without("b", 1ms);
    }
    pass_without("b", 100ms);
    const auto count = [](Process& process) { return document(process).status()->change_count; };
    EXPECT_EQ(count(a()), 20'001U);
    EXPECT_EQ(count(c), 20'001U);
    EXPECT_EQ(count(b()), 1U);
    // The link's queue, and a message beyond.
    EXPECT_LT(sent_to(a(), b()) - before, (4U << 20U) + (128U << 10U));
    EXPECT_GT(sent_to(a(), c) - before, 8U << 20U);
    pass(3s, 10ms);
    EXPECT_EQ(count(b()), 20'001U);
    EXPECT_EQ(document(b()).status()->digest, document(a()).status()->digest);
}

}  // namespace
}  // namespace joinery::sim
