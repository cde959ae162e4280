// tacit run MODEL [PROMPT]: pull when missing, verify, start a sandboxed worker, answer.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "async/signals.hpp"
#include "async/task_group.hpp"
#include "cli/app.hpp"
#include "cli/chat_commands.hpp"
#include "cli/chat_session.hpp"
#include "cli/commands.hpp"
#include "cli/main_loop.hpp"
#include "cli/models.hpp"
#include "cli/process_limits.hpp"
#include "cli/sealed_chat.hpp"
#include "cli/source_pull.hpp"
#include "core/text.hpp"
#include "engine/engine.hpp"
#include "registry/local_file.hpp"
#include "registry/reference.hpp"

namespace tacit::cli {
namespace {

constexpr std::string_view kSeveralLines = "\"\"\"";
constexpr std::size_t kPromptBytesMax = 32 * 1024 * 1024;

struct RunOptions {
  std::string model;
  std::vector<std::string> prompt;
  std::string system;
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<std::uint32_t> seed;
  std::optional<std::uint32_t> max_tokens;
  std::uint32_t context = 0;
  std::uint32_t threads = 0;
  std::string via;  // a server's address; empty: this machine
  std::string trust;
  std::string key_file;
  bool verbose = false;
  bool quiet = false;
};

// All of standard input; for pipes and files.
Result<SecretText> read_standard_input() {
  SecretText text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::io, "cannot read standard input");
    if (n == 0) break;
    text.append({buffer.data(), static_cast<std::size_t>(n)});
    wipe(std::as_writable_bytes(std::span{buffer}));
    if (text.size() > kPromptBytesMax) {
      return fail(Error{Code::too_large, "standard input is too long"}.with(
          "limit", static_cast<std::int64_t>(kPromptBytesMax)));
    }
  }
  if (!is_utf8(text.reveal())) return fail(Code::malformed, "standard input is not UTF-8 text");
  return text;
}

// Lines typed on the terminal. The terminal is opened anew, because a non-blocking standard input
// would make standard output non-blocking too.
class TerminalLines {
 public:
  explicit TerminalLines(asio::any_io_executor executor) : in_{executor} {
    const char* name = ::ttyname(STDIN_FILENO);
    const int fd =
        ::open(name == nullptr ? "/dev/tty" : name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) in_.assign(fd);
  }
  // Errors: cancelled (end of input, or close()).
  Async<SecretText> next() {
    auto reading = asio::async_read_until(in_, asio::dynamic_buffer(buffer_, kPromptBytesMax), '\n',
                                          asio::as_tuple(asio::use_awaitable));
    const auto [error, n] = co_await std::move(reading);
    if (error) co_return fail(Code::cancelled, "end of input");
    SecretText line{std::string_view{buffer_}.substr(0, n - 1)};
    buffer_.erase(0, n);
    co_return line;
  }
  void close() {
    boost::system::error_code ec;
    in_.close(ec);
  }

 private:
  asio::posix::stream_descriptor in_;
  std::string buffer_;
};

class RunCommand {
 public:
  RunCommand(Environment& environment, RunOptions options)
      : environment_{environment}, options_{std::move(options)} {}

  int run() {
    const bool chat = options_.prompt.empty() && is_terminal(STDIN_FILENO);
    // Before the prompt is read: standard input may be long in coming.
    if (const auto known = look_up_model(); !known) return report(known.error());
    if (!chat) {
      auto prompt = make_prompt();
      if (!prompt) return report(prompt.error());
      if (prompt->empty()) {
        print_error("error: the prompt is empty");
        return kExitUsage;
      }
      prompt_ = std::move(*prompt);
    }
    ::signal(SIGPIPE, SIG_IGN);
    return run_main(runtime_, [this, chat] { return main(chat); });
  }

 private:
  Result<void> look_up_model() {
    if (!options_.via.empty()) return environment_.make_home();
    const bool reference = registry::is_reference(options_.model);
    if (!reference && is_model_path(options_.model)) return {};
    TACIT_TRY(registry_, open_registry(environment_, log_));
    if (reference) return {};
    auto name = registry_->resolve(options_.model);
    if (name) return {};
    auto error = std::move(name).error();
    // `tacit run "Name three colours."` is the commonest slip.
    const bool is_prompt = options_.prompt.empty() && options_.model.find(' ') != std::string::npos;
    if (error.code() != Code::not_found || !is_prompt) return fail(std::move(error));
    return fail(std::move(error).fix(
        "The model comes before the prompt: tacit run smollm2 \"Name three colours.\""));
  }

  // The argument, with standard input before it when that is a pipe or a file.
  Result<SecretText> make_prompt() {
    SecretText text;
    const bool piped = !is_terminal(STDIN_FILENO) && options_.prompt.empty();
    if (piped) {
      TACIT_TRY(text, read_standard_input());
    }
    for (std::size_t i = 0; i < options_.prompt.size(); ++i) {
      if (i > 0) text.append(" ");
      text.append(options_.prompt[i]);
    }
    if (!is_utf8(text.reveal())) return fail(Code::malformed, "the prompt is not UTF-8 text");
    return text;
  }

  Task<int> main(bool chat) {
    auto executor = runtime_.shard(0).io.get_executor();
    async::TaskGroup watchers{executor};
    watchers.spawn(watch_interrupts());
    if (!options_.via.empty()) {
      sealed_.emplace(environment_,
                      SealedChatOptions{server_url(options_.via), options_.trust, options_.key_file,
                                        options_.model},
                      executor);
    }
    const int status = co_await serve(chat, watchers);
    watchers.cancel();
    co_await watchers.join(Deadline::after(Seconds{1}));
    co_return status;
  }

  // First Ctrl-C stops the answer; a second one, or one while nothing is answered, ends the
  // program.
  Task<> watch_interrupts() {
    async::SignalSet signals{runtime_.shard(0).io.get_executor(), {SIGINT, SIGTERM}};
    for (;;) {
      const auto signal = co_await signals.next();
      if (!signal) co_return;
      if (*signal == SIGINT && session_ && session_->cancel()) {
        asked_to_leave_ = true;  // the next one, with nothing asked in between, ends the program
        continue;
      }
      if (*signal == SIGINT && lines_ != nullptr && !asked_to_leave_) {
        asked_to_leave_ = true;
        print_error("\n(Ctrl-C again, Ctrl-D or /bye to leave)");
        print(">>> ");
        continue;
      }
      write_all(STDERR_FILENO, "\n");
      ::_exit(kExitInterrupted);  // the worker dies with us; nothing is left to flush
    }
  }

  Task<int> serve(bool chat, async::TaskGroup& watchers) {
    auto backend = sealed_ ? co_await sealed_->open(options_.quiet) : co_await start();
    if (!backend) co_return report(backend.error());
    if (sealed_) watchers.spawn(sealed_->keep_fresh());
    ChatOptions chat_options;
    chat_options.sampling.temperature = options_.temperature;
    chat_options.sampling.top_p = options_.top_p;
    chat_options.sampling.seed = options_.seed;
    chat_options.max_tokens = options_.max_tokens;
    chat_options.system = options_.system;
    session_.emplace(runtime_.shard(0).io.get_executor(), *backend, std::move(chat_options));
    const int status = chat ? co_await converse() : co_await answer_once();
    session_.reset();
    co_return status;
  }

  Async<std::shared_ptr<domain::Backend>> start() {
    auto opened = co_await open_model();
    if (!opened) co_return fail(std::move(opened).error());
    TACIT_CO_TRY(auto program, Environment::program());
    engine::WorkerOptions worker;
    worker.program = std::move(program);
    worker.model = {opened->model.name, opened->model.weights.with_prefix(),
                    opened->model.size_bytes, 0, opened->sampling};
    worker.weights = std::move(opened->weights);
    worker.context_tokens = options_.context;
    worker.sequences_max = 1;
    worker.threads = options_.threads;
    auto started = co_await engine::Worker::start(runtime_, log_, std::move(worker));
    if (!started && is_model_path(options_.model)) {
      co_return fail(registry::about_local_file(std::move(started).error(), options_.model));
    }
    if (!started) co_return fail(std::move(started).error());
    worker_ = std::move(*started);
    co_return worker_->backend(0);
  }

  Async<registry::Registry::Opened> open_model() {
    if (registry::is_reference(options_.model)) {
      SourcePullOptions source{.reference = options_.model,
                               .style = progress_style(false, options_.quiet)};
      TACIT_CO_TRY(const auto pulled, co_await pull_from_source(environment_, source, log_));
      co_return registry_->open_weights(pulled.name);
    }
    if (is_model_path(options_.model)) co_return registry::open_local_file(options_.model);
    const auto style = progress_style(false, options_.quiet);
    auto name = co_await ensure_installed(*registry_, options_.model, style);
    if (!name) co_return fail(std::move(name).error());
    co_return registry_->open_weights(*name);
  }

  Task<int> answer_once() {
    auto prompt = std::move(prompt_);
    const auto answer = co_await session_->ask(std::move(prompt));
    if (answer) print("\n");
    if (!answer)
      co_return answer.error().code() == Code::cancelled ? kExitFailure : report(answer.error());
    show_end(*answer);
    co_return answer->interrupted ? kExitInterrupted : kExitOk;
  }

  // Lines up to the one that ends with three quotes. Errors: cancelled (end of input).
  static Async<SecretText> several_lines(TerminalLines& lines, std::string_view begun) {
    SecretText text;
    SecretText line{begun};
    while (true) {
      auto part = line.reveal();
      const bool last = part.ends_with(kSeveralLines);
      if (last) part.remove_suffix(kSeveralLines.size());
      text.append(part);
      if (last) co_return text;
      text.append("\n");
      print("... ");
      TACIT_CO_TRY(line, co_await lines.next());
    }
  }

  Task<int> converse() {
    TerminalLines lines{runtime_.shard(0).io.get_executor()};
    lines_ = &lines;
    print_error(fmt::format("{} — /help for help, /bye to leave", options_.model));
    for (;;) {
      print(">>> ");
      auto line = co_await lines.next();
      if (!line) break;
      asked_to_leave_ = false;
      const auto text = trim_ascii(line->reveal());
      if (text.empty()) continue;
      if (text == "/bye" || text == "/exit" || text == "/quit") break;
      if (text.starts_with('/')) {
        run_chat_command(text, *session_);
        continue;
      }
      if (!is_utf8(text)) {
        print_error("error: that is not UTF-8 text");
        continue;
      }
      SecretText prompt{text};
      if (text.starts_with(kSeveralLines)) {
        auto whole = co_await several_lines(lines, text.substr(kSeveralLines.size()));
        if (!whole) break;
        prompt = *std::move(whole);
      }
      const auto answer = co_await session_->ask(domain::Content{prompt.reveal()});
      print("\n");
      if (!answer)
        report(answer.error());
      else if (answer->interrupted)
        print_error("(stopped)");
      else
        show_end(*answer);
      if (worker_ && !worker_->alive()) co_return kExitFailure;
    }
    lines_ = nullptr;
    print("\n");
    co_return kExitOk;
  }

  // Whatever ended an answer but the model itself is said.
  void show_end(const Answer& answer) const {
    if (answer.repeated)
      print_error("(stopped: the answer repeats itself; --max-tokens N lets it go on)");
    else if (answer.finish == domain::FinishReason::length && options_.max_tokens)
      print_error(fmt::format("(stopped after {} tokens; --max-tokens sets another limit)",
                              *options_.max_tokens));
    else if (answer.finish == domain::FinishReason::length)
      print_error("(stopped: the context is full; --context N makes it larger)");
    show_speed(answer);
  }

  void show_speed(const Answer& answer) const {
    if (!options_.verbose || answer.interrupted || answer.repeated) return;
    if (answer.time_to_first_token == Nanoseconds{}) {
      print_error(fmt::format("prompt {} tokens; the model ended without a word",
                              answer.usage.prompt_tokens));
      return;
    }
    const auto seconds = [](Nanoseconds t) { return std::chrono::duration<double>(t).count(); };
    const double generating = seconds(answer.total - answer.time_to_first_token);
    print_error(
        fmt::format("prompt {} tokens, first token after {:.0f} ms; {} tokens, {:.1f} tokens/s",
                    answer.usage.prompt_tokens, seconds(answer.time_to_first_token) * 1000,
                    answer.usage.completion_tokens,
                    generating > 0 ? (answer.usage.completion_tokens - 1) / generating : 0.0));
  }

  Environment& environment_;
  RunOptions options_;
  SecretText prompt_;
  NullLogger log_;
  async::Runtime runtime_{1};
  std::unique_ptr<registry::Registry> registry_;
  std::shared_ptr<engine::Worker> worker_;
  std::optional<SealedChat> sealed_;
  std::optional<ChatSession> session_;
  TerminalLines* lines_ = nullptr;
  bool asked_to_leave_ = false;
};

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("run", "Ask a model on this machine; chat when there is no prompt");
  auto options = std::make_shared<RunOptions>();
  command->add_option("model", options->model, "Model name, or path of a GGUF file")->required();
  command->add_option("prompt", options->prompt,
                      "What to ask; standard input when absent and not a terminal");
  command->add_option("--system", options->system, "System prompt");
  command->add_option("--temperature", options->temperature, "Sampling temperature, 0 is greedy")
      ->check(CLI::Range(0.0, 2.0));
  command->add_option("--top-p", options->top_p, "Nucleus sampling")->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", options->seed, "Seed for reproducible sampling");
  command
      ->add_option("--max-tokens", options->max_tokens,
                   "Longest answer, in tokens (default: until it ends, or repeats itself)")
      ->check(CLI::Range(1u, 100'000'000u));
  command->add_option("--context", options->context,
                      "Context size in tokens (default: the model's, at most 4096)");
  command->add_option("--threads", options->threads, "Threads of the engine (default: cores)")
      ->check(CLI::Range(1u, 1024u));
  auto* via = command->add_option(
      "--via", options->via,
      "Ask the model of this server, through the sealed channel: nobody between reads a word");
  command->add_option("--trust", options->trust, "With --via: fingerprint the server must have")
      ->needs(via);
  command
      ->add_option("--key-file", options->key_file,
                   "With --via: file with the API key (else TACIT_API_KEY)")
      ->needs(via)
      ->check(CLI::ExistingFile);
  command->add_flag("--verbose", options->verbose, "Show token counts and speed after each answer");
  command->add_flag("-q,--quiet", options->quiet, "No progress");
  command->footer(
      "Ctrl-C stops the answer; twice, the program. Nothing leaves this machine but the model's "
      "download;\n"
      "with --via the conversation goes, sealed, to a server whose identity was checked first.\n\n"
      "Examples:\n"
      "  tacit run smollm2 \"Name three colours.\"\n"
      "  tacit run smollm2                     # chat\n"
      "  cat notes.txt | tacit run smollm2     # the prompt from standard input\n"
      "  tacit run ./model.gguf --temperature 0 \"hi\"\n"
      "  tacit run smollm2 --via https://ai.example.org \"hi\"");
  command->callback([&context, options] {
    context.chosen = [&context, options] {
      if (const auto enough = need_descriptors(1); !enough) return report(enough.error());
      return RunCommand{context.environment, *options}.run();
    };
  });
}

}  // namespace tacit::cli
