// Stores that cannot be used as they are, stores that two processes use, and the help's examples.

#include "persist/format.h"
#include "persist/identity.h"
#include "persist/lmdb_env.h"
#include "tests/tools/contract.h"

#include <csignal>
#include <unistd.h>

namespace joinery::testing {
namespace {

namespace fs = std::filesystem;

TEST_F(ContractTest, WhatIsNoStoreIsRefused) {
    write_file("file", "text");
    fs::create_directory(path("full"));
    write_file("full/letter.txt", "text");
    expect_refused(on("file", {"set", "d", "/a", "1"}), 1, "not a directory");
    expect_refused(on("full", {"set", "d", "/a", "1"}), 1, "holds other files and no store");
    expect_refused(on("no/parent", {"set", "d", "/a", "1"}), 1, "parent");
    fs::create_directory(path("broken"));
    write_file("broken/data.mdb", std::string(8192, 'x'));
    expect_refused(on("broken", {"ls"}), 1, path("broken") + ": ");
    EXPECT_EQ(fs::file_size(path("broken/data.mdb")), 8192U);
}

TEST_F(ContractTest, AStoreOfANewerFormatIsLeftAlone) {
    output_here({"set", "d", "/a", "1"});
    {
        const auto env = *persist::detail::LmdbEnv::open(path("s"), {.map_size = 256U << 20U});
        const auto txn = *env->begin_write();
        const auto own = *txn->open_table(persist::detail::kOwnTableName);
        Bytes format;
        persist::detail::append_u32(format, persist::detail::kStoreFormat + 1);
        ASSERT_TRUE(
            persist::detail::put_own(*txn, own, as_bytes(persist::detail::kFormatKey), format));
        ASSERT_TRUE(txn->commit());
    }
    for (const Arguments& arguments : {Arguments{"ls"}, {"show", "d"}, {"set", "d", "/a", "2"}})
        refused(arguments, "newer");
}

/// Runs @p script as a user whom permissions bind, since root may do anything.
Outcome as_nobody(const std::string& script) {
    if (geteuid() != 0) return run_shell(script);
    return run_shell("exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"" + script +
                     "\"");
}

TEST_F(ContractTest, AFolderThatMayNotBeReadOrWrittenIsAnError) {
    fs::permissions(folder_, fs::perms(0755));
    if (as_nobody("joinery --version").status != 0) {
        GTEST_SKIP() << "no other user can run the program where it was built";
    }
    output_here({"set", "d", "/a", "1"});
    expect_refused(
        as_nobody("joinery --store " + path("t") + " set d /a 1"), 1, "permission denied");
    const std::string here = "joinery --store " + path("s");
    if (geteuid() != 0) fs::permissions(path("s"), fs::perms(0));
    expect_refused(as_nobody(here + " ls"), 1, "permission denied");
    expect_refused(as_nobody(here + " set d /a 2"), 1, "permission denied");
    fs::permissions(path("s"), fs::perms(0755));
    EXPECT_EQ(output_here({"show", "d", "/a"}), "1");
}

TEST_F(ContractTest, AFullDiskIsAnErrorAndLosesNothing) {
    import_text(R"({"kept":1})");
    const std::string before = digest();
    std::string large = "{";
    for (int i = 0; i < 50'000; ++i)
        large += "\"key " + std::to_string(i) + "\":\"a string that takes some room\",";
    write_file("large.json", large + "\"end\":0}");
    // No file grows past what data.mdb has now and 256 KiB: blocks of 512 bytes.
    const std::uintmax_t blocks = fs::file_size(path("s/data.mdb")) / 512 + 512;
    const std::string limit = "trap '' XFSZ; ulimit -f " + std::to_string(blocks) + "; ";
    const std::string import =
        "exec joinery --store " + path("s") + " import ops/main " + path("large.json");
    expect_refused(run_shell(limit + import), 1, "the disk");
    EXPECT_EQ(digest(), before);
    EXPECT_EQ(run_shell(import).status, 0) << "with room again";
    EXPECT_EQ(output_here({"show", "ops/main", "/end"}), "0");
}

TEST_F(ContractTest, OutputThatCannotBeWrittenIsAnError) {
    if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
    output_here({"set", "d", "/a", "1"});
    for (const char* command : {"export d", "ls", "log d", "id", "--help"}) {
        const Outcome outcome =
            run_shell("joinery --store " + path("s") + " " + command + " > /dev/full");
        expect_refused(outcome, 1, "standard output: ");
    }
}

TEST_F(ContractTest, AStoreThatAKilledProcessHadOpenGoesOn) {
    output_here({"set", "d", "/a", "1"});
    {
        Running peer({"--store", path("s"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
        peer.wait_for("key ");
        EXPECT_EQ(peer.end(SIGKILL), 128 + SIGKILL);
    }
    output_here({"set", "d", "/a", "2"});
    EXPECT_EQ(output_here({"show", "d", "/a"}), "2");
    EXPECT_EQ(json_here({"ls"}).at(0).at("changes"), 2);
}

TEST_F(ContractTest, ACommandWorksWhileAPeerServesTheStoreAndItsRemoteGetsTheChange) {
    output_here({"set", "ops/main", "/a", "1"});
    Running server({"--store", path("s"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url = server.wait_for("listening ");
    server.wait_for("key ");
    Running follower({"--store",
                      path("t"),
                      "peer",
                      "--open",
                      "--listen",
                      "tcp://127.0.0.1:0",
                      "--connect",
                      url});
    const std::string follower_url = follower.wait_for("listening ");
    follower.wait_for("key ");
    output_here({"set", "ops/main", "/a", "2", "-m", "beside the peer"});
    const std::string there = digest();
    // The change goes from the command's process to the server's, over the link to the follower,
    // and from there to whoever asks.
    std::string shown;
    for (int i = 0; i < 1000 && shown != there; ++i) {
        ASSERT_EQ(on("u", {"sync", follower_url}).status, 0);
        const Json documents = Json::parse(output("u", {"ls", "--json"}));
        if (!documents.empty()) shown = documents.at(0).at("digest").get<std::string>();
    }
    EXPECT_EQ(shown, there);
    EXPECT_EQ(output("t", {"show", "ops/main", "/a"}), "2");
    EXPECT_EQ(server.end(SIGTERM), 0);
    EXPECT_EQ(follower.end(SIGINT), 0);
}

TEST_F(ContractTest, SyncSaysWhatItMovedAndRefusesWhatItCannot) {
    output_here({"set", "ops/main", "/a", "1"});
    output_here({"set", "lab/one", "/a", "1"});
    Running server(
        {"--store", path("s"), "--json", "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url =
        Json::parse(server.next_line().value_or("{}")).at("listening").get<std::string>();
    EXPECT_EQ(Json::parse(server.next_line().value_or("{}")).count("key"), 1U);
    const Json moved = Json::parse(output("t", {"sync", url, "ops/*", "--json"}));
    EXPECT_EQ(keys(moved),
              (Keys{"documents",
                    "changes_received",
                    "changes_sent",
                    "changes_rejected",
                    "bytes_received",
                    "bytes_sent"}));
    EXPECT_EQ(moved.at("documents"), 1);
    EXPECT_EQ(moved.at("changes_received"), 1);
    EXPECT_EQ(moved.at("changes_sent"), 0);
    EXPECT_EQ(Json::parse(output("t", {"ls", "--json"})).size(), 1U);
    EXPECT_NE(output("t", {"sync", url}).find("received 1 change in"), std::string::npos);
    expect_refused(on("u", {"peer", "--listen", url}), 1, url + ": ");
    expect_refused(on("t", {"sync", url, std::string(2000, '*')}), 1, "pattern");
}

/// The lines of a help text that show how to call the command.
Arguments examples(const std::string& help) {
    Arguments out;
    for (std::size_t at = help.find("\n  joinery ", help.find("\nExample"));
         at != std::string::npos;
         at = help.find("\n  joinery ", at + 1))
        out.push_back(help.substr(at + 3, help.find('\n', at + 1) - at - 3));
    return out;
}

TEST_F(ContractTest, EveryExampleOfTheHelpWorksWhenPasted) {
    const std::string here = "cd '" + folder_.string() + "'; export JOINERY_STORE=ops.joinery; ";
    const std::string help = run_program({"--help"}).out;
    const std::size_t begin = help.find("Begin with:\n");
    ASSERT_NE(begin, std::string::npos);
    const std::size_t end = help.find('`', begin);
    EXPECT_EQ(run_shell("set -e; cd '" + folder_.string() + "'\n" +
                        help.substr(begin + 12, end - begin - 12))
                  .status,
              0);
    const auto run_example = [&](const std::string& command, const std::string& port = {}) {
        const Arguments found = examples(run_program({command, "--help"}).out);
        EXPECT_FALSE(found.empty()) << command;
        for (std::string line : found) {
            if (!port.empty()) line.replace(line.find("7701"), 4, port);
            const Outcome outcome = run_shell(here + line);
            EXPECT_EQ(outcome.status, 0) << line << '\n' << outcome.err;
        }
    };
    // In an order in which each finds what the one before left.
    for (const char* command : {"set",
                                "show",
                                "insert",
                                "move",
                                "erase",
                                "inc",
                                "log",
                                "export",
                                "import",
                                "ls",
                                "outbox",
                                "id",
                                "backup",
                                "restore"})
        run_example(command);
    const Arguments peer_line = examples(run_program({"peer", "--help"}).out);
    ASSERT_EQ(peer_line.size(), 1U);
    EXPECT_EQ(peer_line.front(), "joinery peer --open --listen tcp://127.0.0.1:7701");
    Running peer(
        {"--store", path("ops.joinery"), "peer", "--open", "--listen", "tcp://127.0.0.1:0"});
    const std::string url = peer.wait_for("listening ");
    run_example("sync", url.substr(url.rfind(':') + 1));
    run_example("demo");
}

}  // namespace
}  // namespace joinery::testing
