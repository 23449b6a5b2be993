#include "support/certificate.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdexcept>

namespace joinery::test {

namespace {

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

void check(bool is_so) {
    if (!is_so) throw std::runtime_error("OpenSSL cannot make a certificate");
}

void add_extension(X509& certificate, int kind, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
    const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value),
                                          X509_EXTENSION_free);
    check(extension && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

template <class Write>
void write_file(const std::filesystem::path& path, const Write& write) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"),
                                                               std::fclose);
    check(file && write(file.get()) == 1);
}

}  // namespace

Certificate::Certificate() {
    std::string name = (std::filesystem::temp_directory_path() / "joinery-tls-XXXXXX").string();
    check(mkdtemp(name.data()) != nullptr);
    folder_ = name;
    const Owned<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
    const Owned<X509> certificate(X509_new(), X509_free);
    check(key && certificate);
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24L * 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* const subject = X509_get_subject_name(certificate.get());
    const std::string_view common_name = "localhost";
    X509_NAME_add_entry_by_txt(subject,
                               "CN",
                               MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.data()),
                               static_cast<int>(common_name.size()),
                               -1,
                               0);
    X509_set_issuer_name(certificate.get(), subject);
    add_extension(*certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(*certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    check(X509_sign(certificate.get(), key.get(), EVP_sha256()) != 0);
    write_file(file(), [&](std::FILE* to) { return PEM_write_X509(to, certificate.get()); });
    write_file(key_file(), [&](std::FILE* to) {
        return PEM_write_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

Certificate::~Certificate() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

}  // namespace joinery::test
