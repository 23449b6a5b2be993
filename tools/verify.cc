#include "joinery/verify.h"

#include "tools/common.h"

#include <iostream>
#include <unistd.h>

namespace joinery::tools {
namespace {

/// A line on the terminal that is overwritten, as whole percents pass; nothing anywhere else.
class ProgressLine {
  public:
    void show(const VerifyProgress& progress) {
        if (!is_terminal_ || progress.change_count == 0) return;
        const std::uint64_t percent = progress.done_count * 100 / progress.change_count;
        if (percent == percent_) return;
        percent_ = percent;
        std::cerr << "\r\033[K" << percent << " %, " << progress.document << std::flush;
    }
    void clear() {
        if (percent_ != UINT64_MAX) std::cerr << "\r\033[K" << std::flush;
        percent_ = UINT64_MAX;
    }

  private:
    bool is_terminal_ = isatty(STDERR_FILENO) == 1;
    std::uint64_t percent_ = UINT64_MAX;
};

std::string json_of(const VerifyReport& found, bool deep) {
    std::vector<std::string> damages;
    for (const Damage& damage : found.damages) {
        damages.push_back(JsonObject()
                              .text("where", damage.where)
                              .text("document", damage.document)
                              .text("change", damage.change)
                              .text("what", damage.what)
                              .text("remedy", damage.remedy)
                              .str());
    }
    const std::string checked = JsonObject()
                                    .number("pages", found.page_count)
                                    .number("records", found.record_count)
                                    .number("documents", found.document_count)
                                    .number("changes", found.change_count)
                                    .number("replayed", found.replayed_count)
                                    .number("index", found.index_count)
                                    .number("seals", found.seal_count)
                                    .number("signatures", found.verified_seal_count)
                                    .number("snapshots", found.snapshot_count)
                                    .str();
    JsonObject out;
    out.raw("ok", found.is_sound() ? "true" : "false")
        .raw("deep", deep ? "true" : "false")
        .raw("checked", checked)
        .number("damage_count", found.damage_count)
        .raw("damage", json_array(damages));
    std::vector<std::string> forks;
    for (const FoundFork& fork : found.forks) {
        forks.push_back(
            JsonObject().text("document", fork.document).raw("fork", fork_json(fork.fork)).str());
    }
    if (!forks.empty()) out.raw("forks", json_array(forks));
    return out.str();
}

void print_text(const VerifyReport& found, bool deep) {
    print_line("checked " + count_of(found.page_count, "page") + ", " +
               count_of(found.record_count, "record") + ", " +
               count_of(found.document_count, "document"));
    print_line("  log        " + count_of(found.change_count, "change") + " hashed, " +
               std::to_string(found.replayed_count) + " replayed from the start");
    print_line("  seals      " + std::to_string(found.seal_count) + ", " +
               count_of(found.verified_seal_count, "signature") + " verified" +
               (deep ? "" : " (the newest of each chain; --deep: all)"));
    print_line("  index      " + std::to_string(found.index_count) + " in agreement with the log");
    print_line("  snapshots  " + std::to_string(found.snapshot_count) +
               " equal to what the log replays to");
    for (const FoundFork& fork : found.forks)
        print_line("fork: " + fork.document + ": " + fork_text(fork.fork));
    for (const Damage& damage : found.damages)
        print_line("damage: " + describe(damage));
    if (found.damage_count > found.damages.size()) {
        print_line("damage: " + std::to_string(found.damage_count - found.damages.size()) +
                   " more are not listed");
    }
    print_line(found.is_sound() ? "no damage found"
                                : count_of(found.damage_count, "damage") + " found");
}

}  // namespace

int run_verify(const Common& common, const VerifyArguments& arguments) {
    if (common.store.empty()) {
        return report("store", "none given; pass --store DIR or set JOINERY_STORE");
    }
    ProgressLine line;
    VerifyOptions options;
    options.document = arguments.document;
    options.deep = arguments.deep;
    options.progress = [&line](const VerifyProgress& progress) { line.show(progress); };
    const auto found = verify_store(common.store, options);
    line.clear();
    if (!found) {
        std::string what = common.store;
        if (!arguments.document.empty()) what += ", " + arguments.document;
        return report(what, found.error());
    }
    if (common.json) {
        print_line(json_of(*found, arguments.deep));
    } else {
        print_text(*found, arguments.deep);
    }
    return found->is_sound() ? kDone : kFoundDamage;
}

}  // namespace joinery::tools
