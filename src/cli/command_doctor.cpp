// tacit doctor: is this machine fit, and which walls stand here.
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "attester/maker.hpp"
#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/process_limits.hpp"
#include "core/text.hpp"
#include "crypto/library.hpp"
#include "engine/engine.hpp"

namespace tacit::cli {
namespace {

enum class Grade : std::uint8_t { good, warning, bad };

struct Finding {
  Grade grade;
  std::string topic;
  std::string text;
  std::string fix;  // "" when good
};

std::string_view grade_name(Grade grade) {
  switch (grade) {
    case Grade::good: return "ok";
    case Grade::warning: return "warning";
    case Grade::bad: return "error";
  }
  return "";
}

void add_wall(std::vector<Finding>& findings, bool there, std::string topic, std::string good,
              std::string missing, std::string fix) {
  findings.push_back(
      there ? Finding{Grade::good, std::move(topic), std::move(good), {}}
            : Finding{Grade::warning, std::move(topic), std::move(missing), std::move(fix)});
}

void examine_sandbox(std::vector<Finding>& findings) {
  const auto sandbox = engine::probe_sandbox();
  add_wall(findings, sandbox.landlock_abi > 0, "sandbox: Landlock",
           fmt::format("ABI {}", sandbox.landlock_abi),
           "not in this kernel; workers are held by seccomp alone",
           "Use Linux 5.13 or newer with Landlock enabled (lsm=landlock,...)");
  add_wall(findings, sandbox.seccomp, "sandbox: seccomp", "available",
           "not available; workers run with fewer walls",
           "Use a kernel with CONFIG_SECCOMP_FILTER");
  add_wall(findings, sandbox.no_new_privileges, "sandbox: no new privileges", "available",
           "not available", "Use Linux 3.5 or newer");
  add_wall(findings, sandbox.core_dumps_off, "sandbox: core dumps", "off in workers",
           "cannot be turned off", "Set the hard limit with ulimit -Hc 0");
}

void examine_machine(std::vector<Finding>& findings) {
  utsname system{};
  ::uname(&system);
  findings.push_back({Grade::good,
                      "system",
                      fmt::format("{} {} {}", system.sysname, system.release, system.machine),
                      {}});
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));
  findings.push_back({Grade::good,
                      "hardware",
                      fmt::format("{} cores, {} memory", std::thread::hardware_concurrency(),
                                  human_bytes(pages * page)),
                      {}});
  findings.push_back({Grade::good, "engine", engine::engine_description(), {}});
  const auto crypto = crypto::library_info();
  add_wall(findings, crypto.ml_kem, "cryptography", crypto.description + ", ML-KEM available",
           crypto.description + " without ML-KEM", "Build with OpenSSL 3.5 or newer: ./dev deps");
}

void examine_attestation(std::vector<Finding>& findings) {
  attester::FindOptions any;
  any.choice = attester::Choice::automatic;
  const auto found = attester::find_attester(any);
  const bool there = found && *found;
  findings.push_back(
      {Grade::good,
       "attestation",
       there ? fmt::format("{} can vouch for this machine", seal::attester_name((*found)->kind()))
             : "nothing here can vouch for this machine (tacit attest)",
       {}});
}

void examine_memory(std::vector<Finding>& findings) {
  const auto lock = probe_memory_lock();
  add_wall(findings, lock != MemoryLock::unlocked, "memory: never swapped",
           lock == MemoryLock::locked ? "locked by serve and connect" : "this machine has no swap",
           "keys and prompts in memory may be written to swap",
           "Lift the limit on locked memory (ulimit -l unlimited; LimitMEMLOCK=infinity), give "
           "CAP_IPC_LOCK, or encrypt the swap");
}

void examine_home(std::vector<Finding>& findings, const Environment& environment) {
  const auto home = environment.home().string();
  if (const auto made = environment.make_home(); !made) {
    findings.push_back(
        {Grade::bad, "data folder", made.error().message(), std::string{made.error().fix()}});
    return;
  }
  if (::access(home.c_str(), W_OK) != 0) {
    findings.push_back({Grade::bad, "data folder", home + " is not writable",
                        "Set TACIT_HOME to a folder that you may write"});
    return;
  }
  struct statvfs disk{};
  ::statvfs(home.c_str(), &disk);
  const auto free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const bool enough = free > 1024ull * 1024 * 1024;
  add_wall(findings, enough, "data folder", fmt::format("{}, {} free", home, human_bytes(free)),
           fmt::format("{}, only {} free", home, human_bytes(free)),
           "Free some space, or set TACIT_HOME to another disk");
  NullLogger log;
  const auto registry = open_registry(environment, log);
  if (!registry) {
    findings.push_back(
        {Grade::bad, "models", registry.error().message(), std::string{registry.error().fix()}});
    return;
  }
  const auto count = (*registry)->installed().size();
  add_wall(findings, count > 0, "models", fmt::format("{} installed", count), "none installed",
           "tacit pull smollm2");
}

int doctor(const Environment& environment, bool json) {
  std::vector<Finding> findings;
  examine_machine(findings);
  examine_sandbox(findings);
  examine_memory(findings);
  examine_attestation(findings);
  examine_home(findings, environment);
  bool bad = false;
  std::vector<std::string> rows;
  for (const auto& finding : findings) {
    bad = bad || finding.grade == Grade::bad;
    rows.push_back(fmt::format(R"({{"topic":{},"status":"{}","text":{},"fix":{}}})",
                               json_string(finding.topic), grade_name(finding.grade),
                               json_string(finding.text),
                               finding.fix.empty() ? "null" : json_string(finding.fix)));
    if (json) continue;
    print(fmt::format("{:<8} {:<28} {}\n", grade_name(finding.grade), finding.topic, finding.text));
    if (!finding.fix.empty()) print(fmt::format("{:<8} {:<28} fix: {}\n", "", "", finding.fix));
  }
  if (json) print(fmt::format("{{\"findings\":[{}]}}\n", fmt::join(rows, ",")));
  return bad ? kExitFailure : kExitOk;
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("doctor", "Check this machine: sandbox, engine, data folder");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "As JSON");
  command->footer(
      "Exit code 1 when something must be fixed before Tacit works.\n\nExamples:\n  tacit doctor\n "
      " tacit doctor --json");
  command->callback([&context, json] {
    context.chosen = [&context, json] { return doctor(context.environment, *json); };
  });
}

}  // namespace tacit::cli
