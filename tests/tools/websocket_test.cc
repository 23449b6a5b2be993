// `joinery peer` to browsers and other clients: files, metrics, who is refused (docs/websocket.md).
// The client is Python's standard library, which knows nothing of Joinery.

#include "tests/tools/contract.h"

#include <csignal>
#include <filesystem>
#include <functional>

namespace joinery::testing {
namespace {

class WebSocketTest : public ContractTest {
  protected:
    /// What the client prints, in one line.
    static std::string ask(const Arguments& arguments) {
        std::string command = "python3 " JOINERY_WEBSOCKET_CLIENT;
        for (const std::string& argument : arguments)
            command += " '" + argument + "'";
        Outcome outcome = run_shell(command);
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        std::ranges::replace(outcome.out, '\n', ' ');
        return outcome.out;
    }
    static std::string address_of(const std::string& url) {
        const std::string rest = url.substr(url.find("://") + 3);
        return rest.substr(0, rest.find('/'));
    }
};

TEST_F(WebSocketTest, OnePortServesFilesAndLinks) {
    std::filesystem::create_directory(path("web"));
    write_file("web/index.html", "<p>board</p>");
    write_file("web/app.js", "run()");
    write_file("web/.secret", "no");
    write_file("outside", "no");
    std::filesystem::create_symlink(path("outside"), path("web/link"));
    Running peer(
        {"--store", path("s"), "peer", "--open", "--http", "127.0.0.1:0", "--files", path("web")});
    const std::string url = peer.wait_for("listening ");
    const std::string address = address_of(url);
    EXPECT_EQ(peer.wait_for("http "), "http://" + address + "/");
    EXPECT_EQ(ask({"get", address, "/"}), "200 text/html; charset=utf-8 <p>board</p>");
    EXPECT_EQ(ask({"get", address, "/app.js?v=1"}), "200 text/javascript; charset=utf-8 run()");
    EXPECT_EQ(ask({"get", address, "/%61pp.js"}), "200 text/javascript; charset=utf-8 run()");
    for (const char* const target : {"/.secret",
                                     "/link",
                                     "/../outside",
                                     "/%2e%2e/outside",
                                     "/a%2fb",
                                     "/none",
                                     "/app.js/x",
                                     "/%",
                                     "/%00",
                                     "//app.js",
                                     "*"}) {
        EXPECT_TRUE(ask({"get", address, target}).starts_with("404 ")) << target;
    }
    EXPECT_TRUE(ask({"get", address, "/", "Host:evil.example"}).starts_with("403 "));
    EXPECT_TRUE(ask({"get", address, "/", "Origin:https://evil.example"}).starts_with("403 "));
    EXPECT_EQ(ask({"link", address, "/", "joinery.1"}), "101 pong hi close 1003 ");
    output("t", {"set", "d", "/a", "1"});
    output("t", {"sync", url});
    EXPECT_EQ(output_here({"show", "d", "/a"}), "1");
    EXPECT_EQ(peer.end(SIGTERM), 0);
}

TEST_F(WebSocketTest, PagesOfElsewhereAreRefusedUnlessTheyAreNamed) {
    write_file("token", "5eed\n");
    std::filesystem::permissions(path("token"), std::filesystem::perms::owner_read);
    Running peer({"--store",
                  path("s"),
                  "peer",
                  "--open",
                  "--listen",
                  "ws://127.0.0.1:0/sync",
                  "--host",
                  "board.example",
                  "--origin",
                  "https://app.example",
                  "--token-file",
                  path("token")});
    const std::string url = peer.wait_for("listening ");
    EXPECT_TRUE(url.ends_with("/sync"));
    const std::string address = address_of(url);
    const auto link = [&](const std::string& protocols, const Arguments& headers) {
        Arguments arguments{"link", address, "/sync", protocols};
        arguments.insert(arguments.end(), headers.begin(), headers.end());
        return ask(arguments);
    };
    const std::string with_token = "joinery.1, joinery.token.5eed";
    EXPECT_EQ(link(with_token, {"Origin:https://evil.example"}), "403 ");
    EXPECT_EQ(link(with_token, {"Host:evil.example"}), "403 ");
    EXPECT_EQ(link("joinery.1", {"Origin:https://app.example"}), "401 ");
    EXPECT_EQ(link("joinery.1, joinery.token.x", {"Origin:https://app.example"}), "401 ");
    EXPECT_EQ(link("chat", {}), "400 ");
    EXPECT_TRUE(ask({"get", address, "/sync"}).starts_with("426 "));
    EXPECT_TRUE(ask({"get", address, "/"}).starts_with("404 "));
    EXPECT_TRUE(link(with_token, {"Origin:https://app.example", "Host:board.example"})
                    .starts_with("101 pong hi "));
    // Who is no browser proves a key instead.
    output("t", {"set", "d", "/a", "1"});
    output("t", {"sync", url});
    EXPECT_EQ(peer.end(SIGTERM), 0);
}

TEST_F(WebSocketTest, MetricsAreForThisMachineAlone) {
    Running peer({"--store",
                  path("s"),
                  "peer",
                  "--open",
                  "--listen",
                  "ws://127.0.0.1:0",
                  "--metrics",
                  "127.0.0.1:0"});
    const std::string links = address_of(peer.wait_for("listening "));
    const std::string url = peer.wait_for("metrics ");
    EXPECT_TRUE(url.ends_with("/metrics"));
    EXPECT_TRUE(ask({"get", links, "/metrics"}).starts_with("404 "));
    const std::string text = ask({"get", address_of(url), "/metrics"});
    EXPECT_TRUE(text.starts_with("200 text/plain; version=0.0.4; charset=utf-8 # HELP ")) << text;
    for (const char* const part :
         {" # TYPE joinery_commit_seconds histogram joinery_commit_seconds_count 0 ",
          "joinery_links{state=\"online\"} 0 ",
          // The request above.
          "joinery_connections_refused_total{error=\"unsupported\"} 1 "}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
    }
    EXPECT_TRUE(ask({"get", address_of(url), "/"}).starts_with("404 "));
    refused({"peer", "--open", "--metrics", "0.0.0.0:0"}, "loopback alone");
}

TEST_F(WebSocketTest, ALaptopThatSleptIsInStepAgain) {
    write_file("hub.toml", "[links]\nheartbeat_idle_ms = 500\nanswer_time_ms = 500\n");
    Running hub({"--store",
                 path("hub"),
                 "peer",
                 "--open",
                 "--config",
                 path("hub.toml"),
                 "--listen",
                 "ws://127.0.0.1:0",
                 "--metrics",
                 "127.0.0.1:0"});
    const std::string url = hub.wait_for("listening ");
    const std::string metrics = address_of(hub.wait_for("metrics "));
    const Running laptop({"--store", path("laptop"), "peer", "--open", "--connect", url});
    output("hub", {"inc", "d", "/n", "1"});
    const auto comes_to = [&](const std::function<bool()>& is_so) {
        // Each try starts a program.
        for (int i = 0; i < 2000; ++i) {
            if (is_so()) return true;
        }
        return false;
    };
    const auto laptop_has = [&](const std::string& n) {
        return comes_to([&] { return on("laptop", {"show", "d", "/n"}).out == n + "\n"; });
    };
    ASSERT_TRUE(laptop_has("1"));
    laptop.signal(SIGSTOP);
    output("hub", {"inc", "d", "/n", "1"});
    // Nothing answers there any more, though the machine takes what is sent.
    EXPECT_TRUE(comes_to([&] {
        return ask({"get", metrics, "/metrics"}).find("joinery_links{state=\"online\"} 0 ") !=
               std::string::npos;
    }));
    laptop.signal(SIGCONT);
    EXPECT_TRUE(laptop_has("2"));
}

TEST_F(WebSocketTest, WhatIsWrongIsSaid) {
    refused({"peer", "--listen", "wss://127.0.0.1:0"}, "--tls-cert FILE --tls-key FILE");
    write_file("none.pem", "no certificate");
    refused({"peer",
             "--listen",
             "wss://127.0.0.1:0",
             "--tls-cert",
             path("none.pem"),
             "--tls-key",
             path("none.pem")},
            "the TLS certificate file holds no certificate");
    refused({"sync", "wss://127.0.0.1:1", "--tls-ca", path("none.pem")},
            "authorities for TLS holds no certificate");
    write_file("open", "token");
    std::filesystem::permissions(
        path("open"), std::filesystem::perms::owner_read | std::filesystem::perms::others_read);
    refused({"peer", "--token-file", path("open")}, "chmod 600");
    refused({"sync", "ws://127.0.0.1:1"}, "connection refused");
}

}  // namespace
}  // namespace joinery::testing
