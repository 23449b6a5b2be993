// `joinery trust`, and what peer and sync make of it.

#include "tests/tools/contract.h"

#include <csignal>

namespace joinery::testing {
namespace {

class TrustTest : public ContractTest {
  protected:
    std::string key_of(const std::string& store) const {
        return Json::parse(output(store, {"id", "--json"})).at("key").get<std::string>();
    }
    Arguments serve(Arguments more) const {
        Arguments arguments{"--store", path("s"), "peer", "--listen", "tcp://127.0.0.1:0"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
};

TEST_F(TrustTest, TheListIsKeptAndPrinted) {
    const std::string one(64, 'a'), two(64, '1');
    EXPECT_EQ(output_here({"trust", "list"}), "");
    EXPECT_EQ(json_here({"trust", "list"}), Json::array());
    EXPECT_EQ(output_here({"trust", "add", one, "--name", "kiosk 3"}), one + " may connect");
    EXPECT_EQ(json_here({"trust", "add", two}), (Json{{"trusted", two}}));
    EXPECT_EQ(output_here({"trust", "list"}), two + "\n" + one + " kiosk 3");
    EXPECT_EQ(json_here({"trust", "list"}),
              (Json{{{"key", two}, {"name", ""}}, {{"key", one}, {"name", "kiosk 3"}}}));
    output_here({"trust", "add", two, "--name", "hub"});
    EXPECT_EQ(output_here({"trust", "list"}), two + " hub\n" + one + " kiosk 3");
    EXPECT_EQ(output_here({"trust", "remove", one}), one + " may connect no more");
    refused({"trust", "remove", one}, "not trusted");
    refused({"trust", "add", one, "--name", std::string(65, 'n')}, "at most 64 bytes");
    wrong_usage({"trust"}, "subcommand");
    wrong_usage({"trust", "add"}, "KEY");
    wrong_usage({"trust", "add", "abc"}, "64 hexadecimal digits");
    wrong_usage({"peer", "--allow", "abc"}, "64 hexadecimal digits");
    EXPECT_NE(output_here({"verify"}).find("no damage"), std::string::npos);
}

TEST_F(TrustTest, APeerServesThoseItsStoreTrustsAsSoonAsItDoes) {
    output_here({"set", "d", "/a", "1"});
    output_here({"trust", "add", std::string(64, 'a')});
    Running server(serve({}));
    const std::string url = server.wait_for("listening ");
    expect_refused(on("t", {"sync", url}), 1, "joinery trust add");
    EXPECT_EQ(output("t", {"ls", "--json"}), "[]");
    output_here({"trust", "add", key_of("t")});
    output("t", {"sync", url});
    EXPECT_EQ(output("t", {"show", "d", "/a"}), "1");
    // The other way round: the one that dials has a list, too.
    output("t", {"trust", "add", std::string(64, 'b')});
    expect_refused(on("t", {"sync", url}), 1, "joinery trust add " + key_of("s"));
    output("t", {"trust", "add", key_of("s")});
    output("t", {"sync", url});
    output_here({"trust", "remove", key_of("t")});
    expect_refused(on("t", {"sync", url}), 1, "joinery trust add");
    EXPECT_EQ(server.end(SIGTERM), 0);
}

TEST_F(TrustTest, AllowAndOpenSayItForOneRun) {
    output_here({"set", "d", "/a", "1"});
    {
        Running server(serve({"--allow", key_of("t")}));
        const std::string url = server.wait_for("listening ");
        output("t", {"sync", url});
        expect_refused(on("u", {"sync", url}), 1, "does not let this peer's key in");
    }
    output_here({"trust", "add", std::string(64, 'a')});
    Running server(serve({"--open"}));
    output("u", {"sync", server.wait_for("listening ")});
}

}  // namespace
}  // namespace joinery::testing
