"""What is configured: settings, YAML files, model configurations.

settings       the `sftguide:` block
mix_settings   its `mix:` block
validation     blocks of settings, and what is wrong with them
yaml_file      YAML files as mappings
model_configs  a model's `config.json`
axolotl_keys   the keys that Axolotl knows
"""
