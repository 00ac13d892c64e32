*** Comments ***
The machine and the firmware by themselves: renode-test stm32f439.robot --variable ELF:FIRMWARE.elf
pytest hil/ --hil-target=renode talks to the firmware, and judges its answers.

*** Keywords ***
Create Machine
    Execute Command           include @${CURDIR}/stm32f439.resc

Should Keep A Word At
    [Arguments]               ${address}
    Execute Command           sysbus WriteDoubleWord ${address} 0x12345678
    ${word}=                  Execute Command  sysbus ReadDoubleWord ${address}
    Should Be Equal As Integers  ${word}  0x12345678

Should Keep Nothing At
    [Arguments]               ${address}
    Execute Command           sysbus WriteDoubleWord ${address} 0x12345678
    ${word}=                  Execute Command  sysbus ReadDoubleWord ${address}
    Should Be Equal As Integers  ${word}  0

*** Test Cases ***
Memories Reach To Their Ends And No Further
    Create Machine
    FOR  ${end}  IN  0x08200000  0x20030000  0x10010000
        ${last}=              Evaluate  hex(${end} - 4)
        Should Keep A Word At    ${last}
        Should Keep Nothing At   ${end}
    END

Firmware Starts And Waits For A Byte
    Create Machine
    Execute Command           $bin=@${ELF}
    Execute Command           machine Reset
    Execute Command           emulation RunFor "0.1"
    ${pc}=                    Execute Command  sysbus.cpu PC
    ${function}=              Execute Command  sysbus FindSymbolAt ${pc.strip()}
    Should Contain            ${function}  port_receive
    ${instructions}=          Execute Command  sysbus ReadDoubleWord 0xE0001004
    Should Be True            ${instructions.strip()} > 0
