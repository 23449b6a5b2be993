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
              (Json{{{"key", two}, {"name", ""}, {"reads", {"*"}}, {"writes", {"*"}}},
                    {{"key", one}, {"name", "kiosk 3"}, {"reads", {"*"}}, {"writes", {"*"}}}}));
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

TEST_F(TrustTest, NobodyIsLetInBeforeTheOwnerSaysSo) {
    output_here({"set", "d", "/a", "1"});
    Running server(serve({}));
    const std::string url = server.wait_for("listening ");
    expect_refused(on("t", {"sync", url}), 1, "joinery trust add");
    EXPECT_EQ(output("t", {"ls", "--json"}), "[]");
    output_here({"trust", "add", key_of("t")});
    output("t", {"sync", url});
    EXPECT_EQ(output("t", {"show", "d", "/a"}), "1");
    output_here({"trust", "remove", key_of("t")});
    expect_refused(on("t", {"sync", url}), 1, "joinery trust add");
    EXPECT_EQ(server.end(SIGTERM), 0);
}

TEST_F(TrustTest, AKeyMayReadAndWriteLessThanEverything) {
    output_here({"set", "ops/d", "/a", "1"});
    output_here({"set", "secret", "/a", "1"});
    const std::string key = key_of("t");
    EXPECT_EQ(output_here({"trust", "add", key, "--read", "ops/*", "--read-only"}),
              key + " may connect: reads ops/*, writes nothing");
    EXPECT_EQ(output_here({"trust", "list"}), key + " (reads ops/*, writes nothing)");
    EXPECT_EQ(json_here({"trust", "list"}).at(0).at("writes"), Json::array());
    wrong_usage({"trust", "add", key, "--write", "a", "--read-only"}, "exclude");
    refused({"trust", "add", key, "--read", std::string(1025, 'x')}, "1 KiB");
    Running server(serve({"--open"}));
    const std::string url = server.wait_for("listening ");
    output("t", {"sync", url});
    EXPECT_EQ(Json::parse(output("t", {"ls", "--json"})).size(), 1U);
    output("t", {"set", "ops/d", "/b", "2"});
    expect_refused(on("t", {"sync", url}), 1, "changes of ops/d stay here");
    EXPECT_EQ(json_here({"show", "ops/d"}), (Json{{"a", 1}}));
    output_here({"trust", "add", key, "--write", "ops/d"});
    output("t", {"sync", url});
    EXPECT_EQ(json_here({"show", "ops/d"}), (Json{{"a", 1}, {"b", 2}}));
    EXPECT_NE(output_here({"verify"}).find("no damage"), std::string::npos);
}

TEST_F(TrustTest, TheOutboxSaysWhatIsOnNoOtherDevice) {
    output_here({"set", "d", "/a", "1"});
    EXPECT_EQ(output_here({"outbox"}), "d  1 of 1 change made here on no other device");
    Running server({"--store", path("t"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    output_here({"sync", server.wait_for("listening ")});
    output_here({"set", "d", "/a", "2"});
    output_here({"trust", "add", key_of("t"), "--name", "kiosk"});
    const std::string text = output_here({"outbox", "d"});
    EXPECT_TRUE(text.starts_with("d  1 of 2 changes made here on no other device\n  " +
                                 key_of("t").substr(0, 16) + " kiosk lacks 1, last heard "))
        << text;
    const Json json = json_here({"outbox"});
    EXPECT_EQ(json.at(0).at("unacknowledged"), 1);
    EXPECT_EQ(json.at(0).at("devices").at(0).at("key"), key_of("t"));
    refused({"outbox", "nothing"}, "no such document");
    EXPECT_NE(output_here({"verify"}).find("no damage"), std::string::npos);
}

TEST_F(TrustTest, NobodyElseMayAnswerWhereAKeyIsGiven) {
    output_here({"set", "d", "/a", "1"});
    Running server(serve({"--open"}));
    const std::string url = server.wait_for("listening ");
    expect_refused(on("t", {"sync", url + "#" + std::string(64, 'a')}),
                   1,
                   "another key than the one expected");
    output("t", {"sync", url + "#" + key_of("s")});
}

TEST_F(TrustTest, AllowAndOpenSayItForOneRun) {
    output_here({"set", "d", "/a", "1"});
    {
        Running server(serve({"--allow", key_of("t")}));
        const std::string url = server.wait_for("listening ");
        output("t", {"sync", url});
        expect_refused(on("u", {"sync", url}), 1, "does not let this peer's key in");
    }
    Running server(serve({"--open"}));
    output("u", {"sync", server.wait_for("listening ")});
}

}  // namespace
}  // namespace joinery::testing
