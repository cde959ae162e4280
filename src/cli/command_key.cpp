// tacit key create|list|revoke: who may use the server.
#include <ctime>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/terminal.hpp"
#include "gateway/keys.hpp"

namespace tacit::cli {
namespace {

std::string date(std::int64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min);
}

// Opens the key table and runs `body` on it.
int with_keys(Environment& environment,
              const std::function<Result<void>(gateway::KeyStore&)>& body) {
  if (const auto made = environment.make_home(); !made) return report(made.error());
  const SystemClock clock;
  auto keys = gateway::KeyStore::open(environment.database(), clock);
  if (!keys) return report(keys.error());
  const auto done = body(**keys);
  return done ? kExitOk : report(done.error());
}

Result<void> create(gateway::KeyStore& keys, const std::string& name, bool json) {
  TACIT_TRY(const auto created, keys.create(name));
  if (json) {
    print(fmt::format("{{\"id\":\"{}\",\"name\":{},\"key\":\"{}\"}}\n", created.record.id,
                      json_string(name), created.key.reveal()));
    return {};
  }
  print_error(fmt::format("{} — this is the only time the key is shown:", created.record.id));
  print(fmt::format("{}\n", created.key.reveal()));
  return {};
}

Result<void> list(gateway::KeyStore& keys, bool json) {
  TACIT_TRY(const auto records, keys.list());
  std::vector<std::string> rows;
  std::string table = fmt::format("{:<14} {:<18} {:<18} {}\n", "ID", "CREATED", "REVOKED", "NAME");
  for (const auto& record : records) {
    const auto revoked = record.revoked_unix_s ? fmt::format("{}", *record.revoked_unix_s) : "null";
    rows.push_back(fmt::format(R"({{"id":"{}","name":{},"created":{},"revoked":{}}})", record.id,
                               json_string(record.name), record.created_unix_s, revoked));
    table += fmt::format("{:<14} {:<18} {:<18} {}\n", record.id, date(record.created_unix_s),
                         record.revoked_unix_s ? date(*record.revoked_unix_s) : "-", record.name);
  }
  if (json)
    print(fmt::format("{{\"keys\":[{}]}}\n", fmt::join(rows, ",")));
  else if (rows.empty())
    print("There are no keys. Try: tacit key create\n");
  else
    print(table);
  return {};
}

}  // namespace

void add_key(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("key", "API keys: create, list, revoke");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n  tacit key create --name laptop\n  tacit key list\n  tacit key revoke "
      "key_1a2b3c4d");
  auto json = std::make_shared<bool>(false);
  auto text = std::make_shared<std::string>();

  auto* creating = command->add_subcommand("create", "Make a key and print it once");
  creating->add_option("--name", *text, "A note for yourself: who or what uses it");
  creating->add_flag("--json", *json, "As JSON");
  creating->footer(
      "A running server accepts the key at once.\n\nExamples:\n  tacit key create --name laptop\n"
      "  KEY=$(tacit key create 2>/dev/null)");
  creating->callback([&context, json, text] {
    context.chosen = [&context, json, text] {
      return with_keys(context.environment,
                       [&](gateway::KeyStore& keys) { return create(keys, *text, *json); });
    };
  });

  auto* listing = command->add_subcommand("list", "Ids, dates and names; never the keys");
  listing->add_flag("--json", *json, "As JSON");
  listing->footer("Examples:\n  tacit key list");
  listing->callback([&context, json] {
    context.chosen = [&context, json] {
      return with_keys(context.environment,
                       [&](gateway::KeyStore& keys) { return list(keys, *json); });
    };
  });

  auto* revoking =
      command->add_subcommand("revoke", "End a key; a running server refuses it within a second");
  revoking->add_option("id", *text, "The key's id, as `tacit key list` shows it")->required();
  revoking->footer("Examples:\n  tacit key revoke key_1a2b3c4d");
  revoking->callback([&context, text] {
    context.chosen = [&context, text] {
      return with_keys(context.environment,
                       [&](gateway::KeyStore& keys) { return keys.revoke(*text); });
    };
  });
}

}  // namespace tacit::cli
