/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine: <os> and <features>. */
#include <string.h>

#include "xml/domain_priv.h"
#include "xml/domain_values.h"

static const struct domain_arch archs[] = {
    /* Ids of local APICs have 8 bits. */
    {"x86_64", .max_vcpus = 254, .serial_type = "isa-serial", .serial_model = "isa-serial"},
    {"aarch64", .max_vcpus = DOMAIN_MAX_VCPUS, .serial_type = "system-serial",
     .serial_model = "pl011"},
};

const struct domain_arch *domain_arch_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(archs); i++) {
        if (strcmp(archs[i].name, name) == 0)
            return &archs[i];
    }
    return NULL;
}

static bool read_os_type(xmlNode *node, void *target, GError **error)
{
    domain_def *def = target;
    g_autofree char *type = xml_text(node);

    g_autofree char *arch = xml_attribute(node, "arch");
    g_autofree char *machine = xml_attribute(node, "machine");

    if (!type)
        return true; /* as if it was not there */
    if (strcmp(type, "hvm") != 0)
        return xml_refuse(error, node, "the OS type must be 'hvm'");
    if (arch && strcmp(arch, VOLE_ARCH) != 0)
        return xml_refuse_attribute(error, node, "arch", "machines here are " VOLE_ARCH);
    if (machine && strcmp(machine, DOMAIN_MACHINE) != 0)
        return xml_refuse_attribute(error, node, "machine", "the only machine is " DOMAIN_MACHINE);
    def->os.arch = arch ? g_steal_pointer(&arch) : g_strdup(VOLE_ARCH);
    def->os.machine = machine ? g_steal_pointer(&machine) : g_strdup(DOMAIN_MACHINE);
    return true;
}

static bool read_kernel(xmlNode *node, void *target, GError **error)
{
    return domain_read_path(node, &((domain_def *)target)->os.kernel, error);
}

static bool read_initrd(xmlNode *node, void *target, GError **error)
{
    return domain_read_path(node, &((domain_def *)target)->os.initrd, error);
}

static bool read_cmdline(xmlNode *node, void *target, GError **error)
{
    ((domain_def *)target)->os.cmdline = xml_text(node);
    return true;
}

static bool read_boot(xmlNode *node, void *target, GError **error)
{
    struct domain_os *os = &((domain_def *)target)->os;
    int device = -1;

    if (!xml_enum_attribute(node, "dev", domain_boot_values, &device, error))
        return false;
    if (device < 0)
        return xml_invalid(error, node, "missing boot device");
    if (os->boot_count == G_N_ELEMENTS(os->boot))
        return xml_invalid(error, node, "there are too many boot devices");
    os->boot[os->boot_count++] = (enum domain_boot_device)device;
    return true;
}

static bool read_bootmenu(xmlNode *node, void *target, GError **error)
{
    int enable = DOMAIN_SWITCH_ABSENT;

    if (!xml_enum_attribute(node, "enable", domain_yes_no_values, &enable, error))
        return false;
    if (enable != DOMAIN_SWITCH_OFF)
        return xml_refuse(error, node, DOMAIN_NO_FIRMWARE);
    ((domain_def *)target)->os.bootmenu = DOMAIN_SWITCH_OFF;
    return true;
}

static const struct xml_element os_elements[] = {
    {"type", "arch machine", XML_ONCE | XML_TEXT, read_os_type},
    {"kernel", NULL, XML_ONCE | XML_TEXT, read_kernel},
    {"initrd", NULL, XML_ONCE | XML_TEXT, read_initrd},
    {"cmdline", NULL, XML_ONCE | XML_TEXT, read_cmdline},
    {"boot", "dev", XML_EMPTY, read_boot},
    {"bootmenu", "enable", XML_ONCE | XML_EMPTY, read_bootmenu},
    {"firmware", .refused = DOMAIN_NO_FIRMWARE},
    {"loader", .refused = DOMAIN_NO_FIRMWARE},
    {"nvram", .refused = DOMAIN_NO_FIRMWARE},
    {"bios", .refused = DOMAIN_NO_FIRMWARE},
    {"smbios", "mode", XML_ONCE | XML_EMPTY, domain_read_smbios},
    {"acpi", .refused = "ACPI tables cannot be added"},
    {"dtb", .refused = "a device tree cannot be given"},
    {"init", .refused = "this is for containers"},
    {},
};

bool domain_read_os(xmlNode *node, void *target, GError **error)
{
    domain_def *def = ((struct domain_parser *)target)->def;

    if (xmlHasProp(node, BAD_CAST "firmware"))
        return xml_refuse_attribute(error, node, "firmware", DOMAIN_NO_FIRMWARE);
    if (!xml_read_children(node, os_elements, def, error))
        return false;
    if (!def->os.arch) {
        libvirt_error_set(error, VIR_ERR_XML_ERROR, "an os <type> must be specified");
        return false;
    }
    return true;
}

bool domain_def_check_start(const domain_def *def, GError **error)
{
    if (!def->os.kernel)
        libvirt_error_set(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            "<os>: there is no <kernel>, and no firmware that could find one on a "
            "disk: give <kernel>, <initrd> and <cmdline> (virt-install, virt-xml --edit: --boot "
            "kernel=FILE,initrd=FILE,kernel_args='root=/dev/vda1 console=ttyS0')");
    return def->os.kernel != NULL;
}

/* ---- <features> ---- */

/* Each is as a microVM has it in any case. */
const struct domain_feature_word domain_feature_words[DOMAIN_FEATURE_LAST] = {
    [DOMAIN_FEATURE_ACPI] = {"acpi", false, DOMAIN_SWITCH_ON, NULL},
    [DOMAIN_FEATURE_APIC] = {"apic", false, DOMAIN_SWITCH_ON, NULL},
    [DOMAIN_FEATURE_PAE] = {"pae", false, DOMAIN_SWITCH_ON, NULL},
    [DOMAIN_FEATURE_HAP] = {"hap", true, DOMAIN_SWITCH_ON, "how KVM maps memory is the host's"},
    [DOMAIN_FEATURE_VMPORT] = {"vmport", true, DOMAIN_SWITCH_OFF, "there is no VMware port"},
    [DOMAIN_FEATURE_SMM] = {"smm", true, DOMAIN_SWITCH_OFF, DOMAIN_NO_FIRMWARE},
    [DOMAIN_FEATURE_VMCOREINFO] = {"vmcoreinfo", true, DOMAIN_SWITCH_OFF,
                                   "a guest cannot say where its notes for crash dumps are"},
};

static bool read_feature(xmlNode *node, void *target, GError **error)
{
    enum domain_switch *features = target;
    int state = DOMAIN_SWITCH_ON;
    unsigned i = 0;

    while (strcmp(domain_feature_words[i].name, (const char *)node->name) != 0)
        i++; /* it is there: feature_elements has no others */
    if (!xml_enum_attribute(node, "state", domain_switch_values, &state, error))
        return false;
    if (state != (int)domain_feature_words[i].only)
        return xml_refuse(error, node, "%s", domain_feature_words[i].refused);
    features[i] = (enum domain_switch)state;
    return true;
}

#define NO_HYPERV "this is for guests that are not Linux"

static const struct xml_element feature_elements[] = {
    {"acpi", NULL, XML_ONCE | XML_EMPTY, read_feature},
    {"apic", NULL, XML_ONCE | XML_EMPTY, read_feature},
    {"pae", NULL, XML_ONCE | XML_EMPTY, read_feature},
    {"hap", "state", XML_ONCE | XML_EMPTY, read_feature},
    {"vmport", "state", XML_ONCE | XML_EMPTY, read_feature},
    {"smm", "state", XML_ONCE | XML_EMPTY, read_feature},
    {"vmcoreinfo", "state", XML_ONCE | XML_EMPTY, read_feature},
    {"hyperv", .refused = NO_HYPERV},
    {"viridian", .refused = NO_HYPERV},
    {"xen", .refused = NO_HYPERV},
    {"kvm", .refused = "KVM's features cannot be chosen"},
    {"pvspinlock", .refused = "KVM's features cannot be chosen"},
    {"pmu", .refused = "the performance monitor cannot be chosen"},
    {"ioapic", .refused = "the interrupt controller cannot be chosen"},
    {"async-teardown", .refused = "how a machine's memory is freed cannot be chosen"},
    {"privnet", .refused = "this is for containers"},
    {"capabilities", .refused = "this is for containers"},
    {},
};

bool domain_read_features(xmlNode *node, void *target, GError **error)
{
    struct domain_parser *parser = target;

    return xml_read_children(node, feature_elements, parser->def->features, error);
}
