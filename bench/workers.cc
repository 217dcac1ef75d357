#include "workers.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "../native/runtime/error.h"

namespace deepcache::bench {
namespace {

constexpr int kGaveUp = 3;

[[noreturn]] void work_and_exit(int pipe, const std::function<void(const Messages&)>& work) {
  int status = 0;
  try {
    work(Messages(pipe));
  } catch (const GiveUp&) {
    status = kGaveUp;
  }
  std::fflush(stdout);
  _exit(status);  // without the destructors of a GPU that may be gone
}

// Reads until the worker closes its end or was silent for too long: false.
bool receive_all(int pipe, double patience,
                 const std::function<void(char kind, const std::string& line)>& receive) {
  std::string unread;
  char text[4096];
  for (;;) {
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = poll(&waiting, 1, int(patience * 1e3));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return false;
    const ssize_t count = read(pipe, text, sizeof text);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    unread.append(text, size_t(count));
    for (size_t end; (end = unread.find('\n')) != std::string::npos; unread.erase(0, end + 1))
      receive(unread[0], unread.substr(1, end - 1));
  }
}

}  // namespace

void Messages::send(char kind, const std::string& line) const {
  const std::string text = kind + line + '\n';
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(pipe_, text.data() + sent, text.size() - sent);
    if (count < 0 && errno != EINTR) return;  // nobody listens any more
    if (count > 0) sent += size_t(count);
  }
}

WorkerEnd run_worker(double patience, const std::function<void(const Messages&)>& work,
                     const std::function<void(char kind, const std::string& line)>& receive) {
  std::fflush(stdout);
  int ends[2];
  if (pipe(ends) != 0) throw Error(ErrorCode::kInternal, "no pipe can be made");
  const pid_t worker = fork();
  if (worker < 0) throw Error(ErrorCode::kInternal, "no process can be started");
  if (worker == 0) {
    close(ends[0]);
#if defined(__linux__)
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a hang does not outlive who watches it
#endif
    work_and_exit(ends[1], work);
  }
  close(ends[1]);
  const bool ended = receive_all(ends[0], patience, receive);
  close(ends[0]);
  if (!ended) kill(worker, SIGKILL);
  int status = 0;
  while (waitpid(worker, &status, 0) < 0 && errno == EINTR) {
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", patience);
  if (!ended) return {WorkerEnd::failed, std::string("it has not ended after ") + seconds + " s"};
  if (WIFSIGNALED(status))
    return {WorkerEnd::failed, std::string("killed: ") + strsignal(WTERMSIG(status))};
  if (WEXITSTATUS(status) == 0) return {WorkerEnd::finished, ""};
  if (WEXITSTATUS(status) == kGaveUp) return {WorkerEnd::gave_up, ""};
  return {WorkerEnd::failed, "exit code " + std::to_string(WEXITSTATUS(status))};
}

}  // namespace deepcache::bench
