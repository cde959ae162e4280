#include "formats/pickle_scan.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/text.hpp"

namespace tacit::formats {
namespace {

constexpr std::size_t kFindingsMax = 16;
constexpr int kDepthMax = 3;
constexpr std::size_t kNestedBytesMin = 8;
constexpr std::size_t kLegacyStreams = 5;  // magic, protocol, system, object, storage keys

enum class Kind : std::uint8_t { other, text, bytes, list, mapping, set, object, global, mark };

struct Value {
  Kind kind = Kind::other;
  std::string_view text = {};  // of text and bytes, as it stands in the file
  bool literal = false;        // text without escapes, so that it means what it says
};

// What tensors and plain containers need; nothing here reads, writes, imports or calls what it is
// given (torch/_weights_only_unpickler.py and numpy's own reduce functions are the models).
constexpr auto kAllowed = std::to_array<std::string_view>({"collections.OrderedDict",
                                                           "collections.defaultdict",
                                                           "builtins.set",
                                                           "builtins.frozenset",
                                                           "builtins.bytearray",
                                                           "builtins.complex",
                                                           "builtins.list",
                                                           "builtins.dict",
                                                           "builtins.int",
                                                           "builtins.float",
                                                           "builtins.bool",
                                                           "builtins.slice",
                                                           "__builtin__.set",
                                                           "__builtin__.frozenset",
                                                           "__builtin__.bytearray",
                                                           "__builtin__.complex",
                                                           "__builtin__.list",
                                                           "__builtin__.dict",
                                                           "__builtin__.int",
                                                           "__builtin__.float",
                                                           "__builtin__.bool",
                                                           "_codecs.encode",
                                                           "torch._utils._rebuild_tensor",
                                                           "torch._utils._rebuild_tensor_v2",
                                                           "torch._utils._rebuild_parameter",
                                                           "torch._utils._rebuild_qtensor",
                                                           "torch.Size",
                                                           "torch.device",
                                                           "torch.Tensor",
                                                           "torch.nn.parameter.Parameter",
                                                           "torch.serialization._get_layout",
                                                           "torch.FloatStorage",
                                                           "torch.DoubleStorage",
                                                           "torch.HalfStorage",
                                                           "torch.BFloat16Storage",
                                                           "torch.LongStorage",
                                                           "torch.IntStorage",
                                                           "torch.ShortStorage",
                                                           "torch.CharStorage",
                                                           "torch.ByteStorage",
                                                           "torch.BoolStorage",
                                                           "torch.ComplexFloatStorage",
                                                           "torch.ComplexDoubleStorage",
                                                           "torch.QInt8Storage",
                                                           "torch.QUInt8Storage",
                                                           "torch.QInt32Storage",
                                                           "torch.storage.UntypedStorage",
                                                           "torch.storage.TypedStorage",
                                                           "torch.float16",
                                                           "torch.float32",
                                                           "torch.float64",
                                                           "torch.bfloat16",
                                                           "torch.int8",
                                                           "torch.int16",
                                                           "torch.int32",
                                                           "torch.int64",
                                                           "torch.uint8",
                                                           "torch.bool",
                                                           "torch.float8_e4m3fn",
                                                           "torch.float8_e5m2",
                                                           "numpy.dtype",
                                                           "numpy.ndarray",
                                                           "numpy.core.multiarray._reconstruct",
                                                           "numpy.core.multiarray.scalar",
                                                           "numpy._core.multiarray._reconstruct",
                                                           "numpy._core.multiarray.scalar",
                                                           "numpy.core.numeric._frombuffer",
                                                           "numpy._core.numeric._frombuffer"});

bool is_allowed(std::string_view name) {
  return std::ranges::find(kAllowed, name) != kAllowed.end();
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 100)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

class Machine {
 public:
  Machine(BytesView bytes, int depth, PickleScan& scan)
      : in_{bytes}, whole_{bytes}, depth_{depth}, scan_{scan} {}

  enum class End : std::uint8_t { stop, broken, cut };
  // Runs to STOP. broken: an opcode that does not exist or what it needs is not there; cut: the
  // bytes ended first.
  End run() {
    while (true) {
      const auto code = in_.u8();
      if (!code) return End::cut;
      if (*code == '.') return End::stop;
      if (!step(*code)) return cut_ ? End::cut : End::broken;
    }
  }
  std::size_t offset() const { return in_.offset(); }

 private:
  void find(Literal what, std::string subject) {
    if (scan_.findings.size() < kFindingsMax) scan_.findings.push_back({what, std::move(subject)});
  }

  bool push(Value value) {
    stack_.push_back(value);
    return true;
  }
  bool push(Kind kind) { return push(Value{.kind = kind}); }
  std::optional<Value> pop() {
    if (stack_.empty() || stack_.back().kind == Kind::mark) return std::nullopt;
    const auto value = stack_.back();
    stack_.pop_back();
    return value;
  }
  bool pop_then_push(std::size_t count, Kind kind) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!pop()) return false;
    }
    return push(kind);
  }
  // Everything above the last mark, and the mark.
  std::optional<std::vector<Value>> pop_mark() {
    const auto mark = std::find_if(stack_.rbegin(), stack_.rend(),
                                   [](const Value& v) { return v.kind == Kind::mark; });
    if (mark == stack_.rend()) return std::nullopt;
    std::vector<Value> values(mark.base(), stack_.end());
    stack_.erase(mark.base() - 1, stack_.end());
    return values;
  }

  std::optional<BytesView> take(std::uint64_t size) {
    if (size > in_.remaining()) {
      cut_ = true;
      return std::nullopt;
    }
    return *in_.take(static_cast<std::size_t>(size));
  }
  std::optional<std::string_view> line() {
    const auto rest = as_text(whole_.subspan(in_.offset()));
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) {
      cut_ = true;
      return std::nullopt;
    }
    static_cast<void>(in_.take(end + 1));
    return rest.substr(0, end);
  }
  template <class T> std::optional<std::uint64_t> number(Result<T> value) {
    if (!value) cut_ = true;
    return value ? std::optional<std::uint64_t>{*value} : std::nullopt;
  }

  bool push_text(std::optional<std::string_view> text, bool escaped) {
    if (!text) return false;
    look_inside(*text);
    return push({Kind::text, *text, !escaped || text->find('\\') == std::string_view::npos});
  }
  bool push_sized(std::optional<std::uint64_t> size, Kind kind) {
    if (!size) return false;
    const auto bytes = take(*size);
    if (!bytes) return false;
    look_inside(as_text(*bytes));
    return push({kind, as_text(*bytes), true});
  }
  bool skip(std::uint64_t size) { return take(size) && push(Kind::other); }

  // A pickle within a pickle is how payloads hide.
  void look_inside(std::string_view text) {
    if (depth_ >= kDepthMax || text.size() < kNestedBytesMin) return;
    if (begins_like_pickle(as_bytes(text))) {
      look_at(as_bytes(text));
    } else if (text.size() % 4 == 0) {
      if (const auto decoded = from_base64(text); decoded && begins_like_pickle(*decoded)) {
        look_at(*decoded);
      }
    }
  }
  void look_at(BytesView bytes) {
    Machine nested{bytes, depth_ + 1, scan_};
    nested.run();
  }

  bool name(std::string_view module, std::string_view member) {
    const auto full = std::string{module} + "." + std::string{member};
    if (is_allowed(full)) return push({Kind::global, {}, true});
    find("it looks up a name that no model needs", printable(full));
    return push(Kind::object);
  }
  bool stack_global() {
    const auto member = pop();
    const auto module = pop();
    if (!member || !module) return false;
    if (member->kind != Kind::text || module->kind != Kind::text || !member->literal ||
        !module->literal) {
      find("it looks up a name that it makes up", "");
      return push(Kind::object);
    }
    return name(module->text, member->text);
  }
  // Calls `callable`, which must be a name from the list.
  bool call(const Value& callable) {
    if (callable.kind != Kind::global) find("it calls something that is not a known name", "");
    return push(Kind::object);
  }

  bool build() {
    if (!pop() || stack_.empty()) return false;
    const auto kind = stack_.back().kind;
    if (kind != Kind::object && kind != Kind::mapping) {
      find("it changes the inside of something that is no object", "");
    }
    return true;
  }
  bool store_items(std::size_t values, Kind wanted, Kind also) {
    for (std::size_t i = 0; i < values; ++i) {
      if (!pop()) return false;
    }
    if (stack_.empty() || stack_.back().kind == Kind::mark) return false;
    const auto kind = stack_.back().kind;
    if (kind != wanted && kind != also) find("it stores into something that is no container", "");
    return true;
  }
  bool store_marked(Kind wanted, Kind also) { return pop_mark() && store_items(0, wanted, also); }

  bool memo_get(std::optional<std::uint64_t> index) {
    if (!index) return false;
    const auto found = memo_.find(*index);
    if (found == memo_.end()) {
      find("it uses something that it never stored", "");
      return false;
    }
    return push(found->second);
  }
  bool memo_put(std::optional<std::uint64_t> index) {
    if (!index || stack_.empty() || stack_.back().kind == Kind::mark) return false;
    memo_[*index] = stack_.back();
    return true;
  }
  std::optional<std::uint64_t> line_number() {
    const auto text = line();
    return text ? parse_u64(trim_ascii(*text)) : std::nullopt;
  }

  bool step(std::uint8_t code);
  bool step_data(std::uint8_t code);
  bool step_names(std::uint8_t code);
  bool step_containers(std::uint8_t code);
  bool instance();
  bool object();

  ByteReader in_;
  BytesView whole_;
  int depth_;
  PickleScan& scan_;
  std::vector<Value> stack_;
  std::unordered_map<std::uint64_t, Value> memo_;
  bool cut_ = false;
  bool known_ = true;
};

bool Machine::instance() {
  const auto module = line();
  const auto member = module ? line() : std::nullopt;
  if (!member || !pop_mark() || !name(*module, *member)) return false;
  const auto callable = pop();
  return callable && (callable->kind != Kind::global ? push(Kind::object) : call(*callable));
}

bool Machine::object() {
  const auto values = pop_mark();
  if (!values || values->empty()) return false;
  return call(values->front());
}

// Names, calls and what may change objects.
bool Machine::step_names(std::uint8_t code) {
  switch (code) {
    case 'c': {
      const auto module = line();
      const auto member = module ? line() : std::nullopt;
      return member && name(*module, *member);
    }
    case 0x93: return stack_global();
    case 'i': return instance();
    case 'o': return object();
    case 'R':
    case 0x81: {
      const auto arguments = pop();
      const auto callable = arguments ? pop() : std::nullopt;
      return callable && call(*callable);
    }
    case 0x92: {  // NEWOBJ_EX
      const auto keywords = pop();
      const auto arguments = keywords ? pop() : std::nullopt;
      const auto callable = arguments ? pop() : std::nullopt;
      return callable && call(*callable);
    }
    case 'b': return build();
    case 0x82:
    case 0x83:
    case 0x84:
      find("it uses the extension registry", "");
      return take(code == 0x82 ? 1 : code == 0x83 ? 2 : 4) && push(Kind::object);
    case 'P': return line() && push(Kind::object);  // what a persistent id means, the loader says
    case 'Q': return pop_then_push(1, Kind::object);
    default: known_ = false; return false;
  }
}

bool Machine::step_containers(std::uint8_t code) {
  switch (code) {
    case '(': return push(Kind::mark);
    case '0':
      if (!stack_.empty() && stack_.back().kind == Kind::mark) {
        stack_.pop_back();
        return true;
      }
      return pop().has_value();
    case '1': return pop_mark().has_value();
    case '2':
      return !stack_.empty() && stack_.back().kind != Kind::mark && push(Value{stack_.back()});
    case ')': return push(Kind::other);
    case 't': return pop_mark() && push(Kind::other);
    case 0x85: return pop_then_push(1, Kind::other);
    case 0x86: return pop_then_push(2, Kind::other);
    case 0x87: return pop_then_push(3, Kind::other);
    case ']': return push(Kind::list);
    case 'l': return pop_mark() && push(Kind::list);
    case '}': return push(Kind::mapping);
    case 'd': return pop_mark() && push(Kind::mapping);
    case 0x8f: return push(Kind::set);
    case 0x91: return pop_mark() && push(Kind::other);
    case 'a': return store_items(1, Kind::list, Kind::list);
    case 'e': return store_marked(Kind::list, Kind::list);
    case 's': return store_items(2, Kind::mapping, Kind::object);
    case 'u': return store_marked(Kind::mapping, Kind::object);
    case 0x90: return store_marked(Kind::set, Kind::set);
    case 'g': return memo_get(line_number());
    case 'h': return memo_get(number(in_.u8()));
    case 'j': return memo_get(number(in_.u32()));
    case 'p': return memo_put(line_number());
    case 'q': return memo_put(number(in_.u8()));
    case 'r': return memo_put(number(in_.u32()));
    case 0x94: return memo_put(memo_.size());
    default: known_ = false; return false;
  }
}

bool Machine::step_data(std::uint8_t code) {
  switch (code) {
    case 0x80: return take(1).has_value();
    case 0x95: return take(8).has_value();
    case 'N':
    case 0x88:
    case 0x89: return push(Kind::other);
    case 'I':
    case 'L':
    case 'F': return line() && push(Kind::other);
    case 'K': return skip(1);
    case 'M': return skip(2);
    case 'J': return skip(4);
    case 'G': return skip(8);
    case 0x8a: {
      const auto size = number(in_.u8());
      return size && skip(*size);
    }
    case 0x8b: {
      const auto size = number(in_.u32());
      return size && skip(*size);
    }
    case 'S': return push_text(line(), true);
    case 'V': return push_text(line(), true);
    case 0x8c: return push_sized(number(in_.u8()), Kind::text);
    case 'X': return push_sized(number(in_.u32()), Kind::text);
    case 0x8d: return push_sized(number(in_.u64()), Kind::text);
    case 'U': return push_sized(number(in_.u8()), Kind::text);
    case 'T': return push_sized(number(in_.u32()), Kind::text);
    case 'C': return push_sized(number(in_.u8()), Kind::bytes);
    case 'B': return push_sized(number(in_.u32()), Kind::bytes);
    case 0x8e:
    case 0x96: return push_sized(number(in_.u64()), Kind::bytes);
    case 0x97: return push(Kind::other);
    case 0x98: return !stack_.empty();
    default: known_ = false; return false;
  }
}

bool Machine::step(std::uint8_t code) {
  using Part = bool (Machine::*)(std::uint8_t);
  constexpr std::array<Part, 3> parts{&Machine::step_data, &Machine::step_containers,
                                      &Machine::step_names};
  for (const auto part : parts) {
    known_ = true;
    const bool done = (this->*part)(code);
    if (known_) return done;
  }
  return false;
}

}  // namespace

bool begins_like_pickle(BytesView bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} &&
         bytes[1] <= std::byte{5};
}

PickleScan scan_pickle(BytesView bytes, bool complete) {
  PickleScan scan;
  auto rest = bytes;
  while (!rest.empty()) {
    Machine machine{rest, 0, scan};
    const auto before = scan.findings.size();
    const auto end = machine.run();
    if (end == Machine::End::stop) {
      ++scan.streams;
      rest = rest.subspan(machine.offset());
      scan.end = bytes.size() - rest.size();
      continue;
    }
    // Old PyTorch files end with raw numbers behind five streams: what was found in those as if
    // they were a pickle means nothing.
    if (scan.streams >= kLegacyStreams) {
      scan.findings.erase(scan.findings.begin() + static_cast<std::ptrdiff_t>(before),
                          scan.findings.end());
      scan.well_formed = true;
      return scan;
    }
    scan.only_prefix = end == Machine::End::cut && !complete;
    return scan;
  }
  scan.well_formed = scan.streams > 0;
  return scan;
}

}  // namespace tacit::formats
