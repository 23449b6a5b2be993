// `joinery peer --config`.

#include "tests/tools/contract.h"

#include <csignal>

namespace joinery::testing {
namespace {

class ConfigTest : public ContractTest {
  protected:
    /// Asks the peer at @p url again and again, until @p store has its document d.
    void wait_until_shown(const std::string& url, const std::string& store) const {
        for (int i = 0; i < 1000; ++i) {
            output(store, {"sync", url});
            if (on(store, {"show", "d"}).status == 0) return;
        }
        FAIL() << url << " has never had the document";
    }
    void wrong(const std::string& text, const std::string& where, std::string_view what) const {
        SCOPED_TRACE(text);
        write_file("peer.toml", text);
        const Outcome outcome = on("s", {"peer", "--config", path("peer.toml")});
        expect_refused(outcome, 1, what);
        EXPECT_TRUE(outcome.err.starts_with("joinery: " + path("peer.toml") + where + ": "))
            << outcome.err;
    }
};

TEST_F(ConfigTest, AFileSaysWhatTheCommandLineSays) {
    output_here({"set", "d", "/a", "1"});
    const std::string key = Json::parse(output("t", {"id", "--json"})).at("key").get<std::string>();
    write_file("peer.toml",
               "name = \"hub\"\n"
               "callback_interval_ms = 16\n"
               "listen = [\"tcp://127.0.0.1:0\"]\n"
               "allow = [\"" +
                   key +
                   "\"]\n"
                   "[storage]\nflush_interval_ms = 0\ndurable_first = true\n"
                   "[links]\nanswer_time_ms = 3000\nhandshakes_per_second = 100\n");
    Running peer({"--store", path("s"), "peer", "--config", path("peer.toml")});
    const std::string url = peer.wait_for("listening ");
    output("t", {"sync", url});
    expect_refused(on("u", {"sync", url}), 1, "does not let this peer's key in");
    EXPECT_EQ(peer.end(SIGTERM), 0);
}

TEST_F(ConfigTest, TheCommandLineIsAddedToTheFile) {
    write_file("peer.toml", "listen = [\"tcp://127.0.0.1:0\"]\n");
    Running peer({"--store",
                  path("s"),
                  "peer",
                  "--config",
                  path("peer.toml"),
                  "--listen",
                  "tcp://127.0.0.2:0"});
    EXPECT_TRUE(peer.wait_for("listening ").starts_with("tcp://127.0.0.2:"));
    EXPECT_TRUE(peer.wait_for("listening ").starts_with("tcp://127.0.0.1:"));
}

TEST_F(ConfigTest, APeerMayHaveSeveralUrls) {
    output_here({"set", "d", "/a", "1"});
    Running hub({"--store", path("s"), "peer", "--listen", "tcp://127.0.0.1:0", "--open"});
    const std::string urls = "tcp://127.0.0.1:1 " + hub.wait_for("listening ");
    write_file("peer.toml",
               "listen = [\"tcp://127.0.0.1:0\"]\nopen = true\nconnect = [[\"" +
                   urls.substr(0, urls.find(' ')) + "\", \"" + urls.substr(urls.find(' ') + 1) +
                   "\"]]\n");
    const auto comes_in_step = [&](const std::string& store, const Arguments& more) {
        Arguments arguments{"--store", path(store), "peer"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        Running peer(arguments);
        wait_until_shown(peer.wait_for("listening "), "reader of " + store);
    };
    comes_in_step("t", {"--config", path("peer.toml")});
    comes_in_step("u", {"--open", "--connect", urls, "--listen", "tcp://127.0.0.1:0"});
    refused({"peer", "--connect", " "}, "no URL");
    refused({"peer", "--connect", "tcp://127.0.0.1:1 gopher://x"}, "no transport");
}

TEST_F(ConfigTest, WhatIsWrongIsNamedWithItsLine) {
    wrong("\nnmae = \"x\"\n", " line 2", "nmae: there is no such key");
    wrong("name = 3\n", " line 1", "a text of at most 64 bytes");
    wrong("listen = \"tcp://127.0.0.1:0\"\n", " line 1", "an array of texts is wanted");
    wrong("connect = [[3]]\n", " line 1", "an array of texts, or of arrays of texts");
    wrong("connect = \"tcp://127.0.0.1:1\"\n", " line 1", "an array of texts, or of arrays");
    wrong("allow = [\"zz\"]\n", " line 1", "64 hexadecimal digits");
    wrong("open = 1\n", " line 1", "true or false is wanted");
    wrong("# links\n[links]\nanswer_time_ms = 9\n", " line 3", "from 10 to 86400000");
    wrong("[links]\ndials_per_second = 0\n", " line 2", "from 1 to 10000");
    wrong("[discover]\nport = 0\n", " line 2", "from 1 to 65535");
    wrong("[discover]\ngroup = 7\n", " line 2", "a text is wanted");
    wrong("[discover]\ninterval_ms = 99\n", " line 2", "from 100 to 600000");
    wrong("[links]\nanswer_time_ms = 3.5\n", " line 2", "a whole number");
    wrong("[storage]\nsnapshot_interval = 0\n", " line 2", "from 1");
    wrong("[links.inner]\na = 1\n", " line 1", "links.inner: there is no such key");
    wrong("[other]\na = 1\n", " line 1", "other: there is no such key");
    wrong("name = \n", " line 1", "value");
    wrong("name = \"a\"\nname = \"b\"\n", " line 2", "name");
    wrong("[links]\nretry_delay_min_ms = 500\nretry_delay_max_ms = 100\n",
          "",
          "above retry_delay_max_ms");
    wrong("name = \"" + std::string(65, 'n') + "\"\n", " line 1", "a text of at most 64 bytes");
    refused({"peer", "--config", path("nothing.toml")}, "no such file");
}

}  // namespace
}  // namespace joinery::testing
