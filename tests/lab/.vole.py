import pexpect,sys,time,subprocess,os
g=sys.argv[1]; vole=sys.argv[2]; n=int(sys.argv[3]); args=sys.argv[4:]
subprocess.run(['cp','--sparse=always',g+'/disk.img','/tmp/d.img'],check=True)
for i in range(n):
    t=time.time()
    c=pexpect.spawn(vole,['run','--memory','512M','--kernel',g+'/vmlinuz','--initrd',g+'/initrd.img','--append','console=ttyS0 root=/dev/vda quiet','--disk','/tmp/d.img','--serial','stdio']+args,encoding='utf8',timeout=100)
    c.logfile_read=open('/work/main/tests/lab/.o/vole%d.log'%i,'w')
    try:
        c.expect('login: '); a=time.time()-t
        c.sendline('root'); c.expect('Password: '); c.sendline('vole'); c.expect('# ')
        c.sendline('nproc;lsblk;ip a;free; dmesg | grep -iE "error|fail|warn|bug|acpi"; systemctl is-system-running'); c.expect('# '); print(c.before)
        t=time.time(); c.sendline('poweroff'); c.expect(pexpect.EOF); print('login %.1f off %.1f'%(a,time.time()-t),flush=True)
    except Exception as e:
        print('FAIL',i,type(e), open('/work/main/tests/lab/.o/vole%d.log'%i).read()[-1500:],flush=True); c.close(force=True); 
    c.close(); print(c.exitstatus, c.signalstatus)
