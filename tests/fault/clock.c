/* Lets librdkafka's timed waits end in time under libfaketime.
 *
 * librdkafka reads the clock, which is faked, and waits until a moment of it with cnd_timedwait,
 * which is not: set a day forth it would wait for a day, set back it would not wait at all.
 * pthread_cond_timedwait is faked as well; in glibc the types of both are the same.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    int error = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return error == 0 ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}
