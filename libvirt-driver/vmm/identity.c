/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-driver/vmm/identity.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "xml/error.h"

/* A number as libvirt's own settings have it: "+107" is never a name. */
static bool as_number(const char *text, guint *id)
{
    guint64 number;

    /* The largest means "leave it as it is" to the kernel. */
    if (!g_ascii_string_to_unsigned(*text == '+' ? text + 1 : text, 10, 0, G_MAXUINT32 - 1, &number,
                                    NULL))
        return false;
    *id = (guint)number;
    return true;
}

static bool find_user(struct identity *identity, const char *user, bool need_group, GError **error)
{
    const struct passwd *entry = *user == '+' ? NULL : getpwnam(user);

    if (!entry && as_number(user, &identity->uid))
        entry = getpwuid(identity->uid);
    else if (!entry) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "user: there is no user '%s'", user);
        return false;
    }
    if (entry) {
        identity->uid = entry->pw_uid;
        identity->gid = entry->pw_gid;
    } else if (need_group) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "user: nothing says which group '%s' has",
                          user);
        return false;
    }
    return true;
}

static bool find_group(struct identity *identity, const char *name, GError **error)
{
    const struct group *entry = *name == '+' ? NULL : getgrnam(name);

    if (entry)
        identity->gid = entry->gr_gid;
    else if (!as_number(name, &identity->gid)) {
        libvirt_error_set(error, VIR_ERR_CONF_SYNTAX, "group: there is no group '%s'", name);
        return false;
    }
    return true;
}

/* Called before there are threads: the lookups have one buffer for all. */
bool identity_find(struct identity *identity, const char *user, const char *group, GError **error)
{
    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (!user && !group)
        return true;
    if ((user && !find_user(identity, user, !group, error)) ||
        (group && !find_group(identity, group, error)))
        return false;
    identity->other = identity->uid != geteuid() || identity->gid != getegid();
    if (!identity->other || geteuid() == 0)
        return true;
    libvirt_error_set(error, VIR_ERR_CONF_SYNTAX,
                      "user, group: only root can run VMMs as somebody else");
    return false;
}
