"""What chips of several STM32 families have in common; each family says where it stands."""
