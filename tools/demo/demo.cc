#include "joinery/json.h"
#include "tools/common.h"
#include "tools/demo/bundled.h"
#include "tools/demo/crew.h"
#include "tools/demo/story.h"

#include <csignal>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace joinery::tools {
namespace {

/// The folder of the stores: the one asked for, or a temporary one that goes with it.
class Folder {
  public:
    explicit Folder(const std::string& kept) : is_kept_(!kept.empty()) {
        std::error_code error;
        if (is_kept_) {
            std::filesystem::create_directories(kept, error);
            if (!error && std::filesystem::is_empty(kept, error)) path_ = kept;
            return;
        }
        const auto parent = std::filesystem::temp_directory_path(error);
        std::string name = ((error ? "/tmp" : parent) / "joinery-demo-XXXXXX").string();
        if (mkdtemp(name.data()) != nullptr) path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        if (!is_kept_ && !path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const noexcept { return path_; }  ///< Empty: none could be had.

  private:
    bool is_kept_;
    std::string path_;
};

Result<Plain> read_dashboard(const std::string& file) {
    std::string text(bundled_dashboard());
    if (!file.empty()) {
        JOINERY_TRY(text, read_file(file));
    }
    JOINERY_TRY(Plain value, parse_json(text));
    if (!value.is_object()) return fail(Errc::malformed, "a document is a JSON object");
    return value;
}

}  // namespace

int run_demo(const Common& common, const DemoArguments& arguments) {
    // A peer that is killed shows as an error of write(), Ctrl-C as one of waiting: then all ends
    // in order and the folder goes.
    std::signal(SIGPIPE, SIG_IGN);
    hold_interrupts();

    const std::string source =
        arguments.dashboard.empty() ? "the bundled dashboard" : arguments.dashboard;
    const auto dashboard = read_dashboard(arguments.dashboard);
    if (!dashboard) return report(source, dashboard.error());
    const Folder folder(arguments.keep);
    if (folder.path().empty()) {
        return report(arguments.keep.empty() ? "temporary folder" : arguments.keep,
                      "cannot be made, or is not empty");
    }
    Screen screen(common.json);
    Story story(arguments, *dashboard, folder.path(), screen);
    screen.line("joinery demo: " + std::to_string(arguments.peer_count) +
                " peers, each a process with a store of its own, linked by TCP and WebSocket.");
    screen.line(story.subject(arguments.dashboard.empty() ? "OpenTelemetry Demo, Apache-2.0"
                                                          : arguments.dashboard));
    screen.line();
    const SharedTime start = shared_now();
    const auto told = story.tell();
    if (!told) {
        const std::string complaint = story.complaint();
        return report("demo", complaint.empty() ? told.error().what : complaint);
    }
    if (!arguments.keep.empty()) {
        screen.line("The stores are in " + folder.path() + "; look around: joinery --store " +
                    folder.path() + "/wall log demo/dashboard");
    }
    if (common.json) {
        const auto took =
            std::chrono::duration_cast<std::chrono::milliseconds>(shared_now() - start);
        print_line(JsonObject()
                       .raw("equal", story.is_equal() ? "true" : "false")
                       .signed_number("duration_ms", took.count())
                       .raw("peers", story.json())
                       .str());
    }
    return story.is_equal() ? kDone : kFailed;
}

}  // namespace joinery::tools
