// The handshake and its ciphers against vectors that others published: cacophony's, by way of snow
// (public domain), and those of C2SP/wycheproof (Apache-2.0).

#include "session/noise.h"

#include "support/shared_data.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace joinery::session {
namespace {

using nlohmann::json;
using testing::read_file;
using testing::shared_path;

Bytes from_hex(const std::string& hex) {
    Bytes out(hex.size() / 2);
    EXPECT_TRUE(parse_hex(hex, out)) << hex;
    return out;
}

NoiseKey key_of(const json& hex) {
    NoiseKey key{};
    EXPECT_TRUE(parse_hex(hex.get<std::string>(), key)) << hex;
    return key;
}

/// Both sides of a handshake with the keys of a vector.
struct Pair {
    explicit Pair(const json& v)
        : dialler_static(key_of(v["init_static"])),
          dialler_ephemeral(key_of(v["init_ephemeral"])),
          listener_static(key_of(v["resp_static"])),
          listener_ephemeral(key_of(v["resp_ephemeral"])),
          dialler(NoiseXx::Role::dialler,
                  from_hex(v["init_prologue"]),
                  dialler_static,
                  dialler_ephemeral),
          listener(NoiseXx::Role::listener,
                   from_hex(v["resp_prologue"]),
                   listener_static,
                   listener_ephemeral) {}
    NoiseKeyPair dialler_static, dialler_ephemeral, listener_static, listener_ephemeral;
    NoiseXx dialler, listener;
};

void shake(NoiseXx& from, NoiseXx& to, const json& message) {
    Bytes written, read;
    ASSERT_TRUE(from.is_writing() && !to.is_writing());
    ASSERT_TRUE(from.write_keys(written).has_value());
    ASSERT_TRUE(from.write_payload(from_hex(message["payload"]), written).has_value());
    EXPECT_EQ(to_hex(written), message["ciphertext"].get<std::string>());
    ByteView rest = written;
    ASSERT_TRUE(to.read_keys(rest).has_value());
    ASSERT_TRUE(to.read_payload(rest, read).has_value());
    EXPECT_EQ(to_hex(read), message["payload"].get<std::string>());
    EXPECT_EQ(from.hash(), to.hash());
}

void transport(NoiseCipher& from, NoiseCipher& to, const json& message) {
    Bytes bytes = from_hex(message["payload"]);
    ASSERT_TRUE(from.encrypt({}, bytes, 0).has_value());
    EXPECT_EQ(to_hex(bytes), message["ciphertext"].get<std::string>());
    Bytes read;
    ASSERT_TRUE(to.decrypt({}, bytes, read).has_value());
    EXPECT_EQ(to_hex(read), message["payload"].get<std::string>());
}

TEST(NoiseTest, ThePublishedVectorsAreWrittenAndRead) {
    const auto path = shared_path("data/protocol-vectors/noise/cacophony.json.gz");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t found = 0;
    const json file = json::parse(read_file(path));
    for (const json& v : file["vectors"]) {
        if (v["protocol_name"] != "Noise_XX_25519_ChaChaPoly_BLAKE2b") continue;
        ++found;
        Pair pair(v);
        const json& messages = v["messages"];
        ASSERT_GT(messages.size(), 3U);
        shake(pair.dialler, pair.listener, messages[0]);
        shake(pair.listener, pair.dialler, messages[1]);
        shake(pair.dialler, pair.listener, messages[2]);
        ASSERT_TRUE(pair.dialler.is_over() && pair.listener.is_over());
        EXPECT_EQ(to_hex(pair.dialler.hash()), v["handshake_hash"].get<std::string>());
        NoiseCiphers dialler = pair.dialler.split();
        NoiseCiphers listener = pair.listener.split();
        for (std::size_t i = 3; i < messages.size(); ++i) {
            const bool is_diallers = i % 2 == 0;
            transport(is_diallers ? dialler.send : listener.send,
                      is_diallers ? listener.receive : dialler.receive,
                      messages[i]);
        }
    }
    EXPECT_GT(found, 0U);
}

TEST(NoiseTest, TheAgreementPassesTheVectorsOfWycheproof) {
    const auto path = shared_path("data/protocol-vectors/wycheproof/x25519_test.json.gz");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t low_order = 0, agreed = 0;
    const json file = json::parse(read_file(path));
    for (const json& group : file["testGroups"]) {
        for (const json& test : group["tests"]) {
            const NoiseKey shared = key_of(test["shared"]);
            const NoiseKeyPair ours(key_of(test["private"]));
            const auto made = ours.agree(key_of(test["public"]));
            if (shared == NoiseKey{}) {
                ++low_order;
                EXPECT_FALSE(made.has_value()) << test["tcId"];
                continue;
            }
            ++agreed;
            ASSERT_TRUE(made.has_value()) << test["tcId"];
            EXPECT_EQ(*made, shared) << test["tcId"];
        }
    }
    EXPECT_GT(low_order, 10U);
    EXPECT_GT(agreed, 400U);
}

TEST(NoiseTest, TheCipherPassesTheVectorsOfWycheproofWithNoncesLikeItsOwn) {
    const auto path =
        shared_path("data/protocol-vectors/wycheproof/chacha20_poly1305_test.json.gz");
    JOINERY_SKIP_WITHOUT(path);
    std::size_t valid = 0, invalid = 0;
    const json file = json::parse(read_file(path));
    for (const json& group : file["testGroups"]) {
        for (const json& test : group["tests"]) {
            const Bytes iv = from_hex(test["iv"]);
            // Ours are four zeros, then a number.
            if (iv.size() != 12 || iv[0] != 0 || iv[1] != 0 || iv[2] != 0 || iv[3] != 0) continue;
            std::uint64_t nonce = 0;
            for (std::size_t i = 12; i-- > 4;)
                nonce = nonce << 8U | iv[i];
            NoiseCipher cipher(key_of(test["key"]), nonce);
            Bytes sealed = from_hex(test["ct"]);
            const Bytes tag = from_hex(test["tag"]);
            sealed.insert(sealed.end(), tag.begin(), tag.end());
            Bytes read;
            const Bytes associated = from_hex(test["aad"]);
            const bool is_read = cipher.decrypt(associated, sealed, read).has_value();
            EXPECT_EQ(is_read, test["result"] == "valid") << test["tcId"];
            EXPECT_EQ(cipher.nonce(), nonce + (is_read ? 1 : 0));
            if (!is_read) {
                ++invalid;
                EXPECT_TRUE(read.empty());
                continue;
            }
            ++valid;
            EXPECT_EQ(to_hex(read), test["msg"].get<std::string>()) << test["tcId"];
            NoiseCipher writer(key_of(test["key"]), nonce);
            ASSERT_TRUE(writer.encrypt(associated, read, 0).has_value());
            EXPECT_EQ(read, sealed) << test["tcId"];
        }
    }
    EXPECT_GE(valid, 10U);
    RecordProperty("invalid", static_cast<int>(invalid));
}

TEST(NoiseTest, TheLastNumberOfAKeyIsNeverUsed) {
    const NoiseKey key{1, 2, 3};
    const std::uint64_t last = ~std::uint64_t{0};
    NoiseCipher writer(key, last - 1), reader(key, last - 1);
    Bytes bytes{9}, read;
    ASSERT_TRUE(writer.encrypt({}, bytes, 0).has_value());
    ASSERT_TRUE(reader.decrypt({}, bytes, read).has_value());
    Bytes more{9};
    const auto written = writer.encrypt({}, more, 0);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code, Errc::over_limit);
    EXPECT_EQ(more, Bytes{9});
    const auto taken = reader.decrypt({}, bytes, read);
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().code, Errc::over_limit);
    EXPECT_EQ(read, Bytes{9});
}

TEST(NoiseTest, ANewKeyOpensNothingOfTheOldOne) {
    const NoiseKey key{7};
    NoiseCipher writer(key), reader(key), old(key);
    writer.rekey();
    reader.rekey();
    Bytes bytes{1, 2, 3}, read;
    ASSERT_TRUE(writer.encrypt({}, bytes, 0).has_value());
    EXPECT_FALSE(old.decrypt({}, bytes, read).has_value());
    ASSERT_TRUE(reader.decrypt({}, bytes, read).has_value());
    EXPECT_EQ(read, (Bytes{1, 2, 3}));
}

}  // namespace
}  // namespace joinery::session
