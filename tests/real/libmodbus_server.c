/* An independent device: input registers by libmodbus, filled with known floats.
   server PORT: Modbus TCP on loopback;  server DEVICE BAUD: RTU on a serial port, 8N1. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* IEEE 754 bits, high word first (libmodbus' own float setters differ between releases). */
static void set_float(float value, uint16_t *registers) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  registers[0] = (uint16_t)(bits >> 16);
  registers[1] = (uint16_t)(bits & 0xFFFF);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) return 2;
  int serial = argc == 3;
  modbus_t *bus = serial ? modbus_new_rtu(argv[1], atoi(argv[2]), 'N', 8, 1)
                         : modbus_new_tcp("127.0.0.1", atoi(argv[1]));
  modbus_mapping_t *map = modbus_mapping_new(0, 0, 0, 400);
  if (bus == NULL || map == NULL) return 1;
  modbus_set_slave(bus, 1);
  set_float(230.5f, map->tab_input_registers + 0x00);
  set_float(12500.0f, map->tab_input_registers + 0x34);
  set_float(49.98f, map->tab_input_registers + 0x46);
  set_float(11114.29f, map->tab_input_registers + 0x48);
  int listening = serial ? -1 : modbus_tcp_listen(bus, 1);
  if (serial ? modbus_connect(bus) < 0 : listening < 0) return 1;
  printf("ready\n");
  fflush(stdout);
  if (!serial) modbus_tcp_accept(bus, &listening);
  for (;;) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int length = modbus_receive(bus, query);
    if (length > 0) modbus_reply(bus, query, length, map);
    else if (length == -1 && !serial) break; /* on a serial line: noise, or another's frame */
  }
  close(listening);
  modbus_mapping_free(map);
  modbus_close(bus);
  modbus_free(bus);
  return 0;
}
